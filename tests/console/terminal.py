"""A command in a terminal of its own, for those that want to talk to a person."""

import os
import pty
import select
import subprocess
import time
from pathlib import Path

from tests.console.support import COMMAND, ENVIRONMENT

PROMPT = "(Pdb) "


class Terminal:
    """A context manager: `read` until the prompt comes, `say` a line, `end` when all is said."""

    def __init__(self, *arguments: str, folder: Path) -> None:
        self._master, slave = pty.openpty()
        self._process = subprocess.Popen(
            [*COMMAND, *arguments],
            cwd=folder,
            env={**ENVIRONMENT, "TERM": "dumb"},
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, *raised: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(timeout=30)
        os.close(self._master)

    def read(self, *, timeout: float = 60.0) -> str:
        """What is shown until the next prompt, or to the end."""
        shown = ""
        until = time.monotonic() + timeout
        while not shown.endswith(PROMPT):
            ready, _, _ = select.select([self._master], [], [], 0.2)
            if ready:
                try:
                    data = os.read(self._master, 65_536)
                except OSError:  # Linux says so when the other end is closed
                    break
                if not data:
                    break
                shown += data.decode(errors="replace").replace("\r\n", "\n")
            assert time.monotonic() < until, f"no prompt came after:\n{shown}"
        return shown

    def say(self, line: str) -> str:
        """Type a line; what is shown after it until the next prompt, or to the end."""
        os.write(self._master, f"{line}\n".encode())
        return self.read().removeprefix(f"{line}\n")

    def end(self) -> int:
        """The exit code."""
        return self._process.wait(timeout=30)
