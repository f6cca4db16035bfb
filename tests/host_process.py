"""A host in a process of its own, to be killed: `python -m tests.host_process URL PREFIX LEASE`.

Prints `ready` once it owns its share; SIGTERM drains it.
"""

import asyncio
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO

from moonlet.agents import Host, connect
from moonlet.streams import Topology
from tests.agents.accounts import account_type

ROOT = Path(__file__).parent.parent


class HostProcess:
    """The process, from outside."""

    def __init__(self, url: str, prefix: str, *, lease: int = 1) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.host_process", url, prefix, str(lease)],
            stdout=subprocess.PIPE,
            cwd=ROOT,
        )

    def await_ready(self) -> None:
        """Return when it owns its share of the partitions."""
        output: IO[bytes] | None = self.process.stdout
        assert output is not None
        line = output.readline()
        assert line == b"ready\n", line

    def kill(self) -> None:
        """SIGKILL, and reap."""
        self.process.kill()
        self.process.wait()
        self._close()

    def terminate(self) -> int:
        """SIGTERM; returns the exit code."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=15)
        self._close()
        return code

    def pause(self) -> None:
        """SIGSTOP."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        self.process.send_signal(signal.SIGCONT)

    def _close(self) -> None:
        if self.process.stdout is not None:
            self.process.stdout.close()


async def main(url: str, prefix: str, lease: int) -> None:
    """Run until SIGTERM."""
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    async with connect(url, topology=Topology(prefix=prefix)) as moon:
        async with Host(moon, [account_type()], lease=lease):
            print("ready", flush=True)
            await ended.wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
