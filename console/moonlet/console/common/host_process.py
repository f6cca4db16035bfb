"""A host in a process of its own, as real hosts are, started by the demo and the benchmark.

It holds the reading end of our pipe as its stdin: however this process ends, the host ends too.
"""

import asyncio
import signal
import sys
from pathlib import Path
from typing import Final

from moonlet.core.errors import Unavailable

READY_MAX: Final = 15.0
"""Seconds that a host has to come up."""

STOP_MAX: Final = 11.0
"""Seconds that it has to drain and leave."""

LEASE: Final = 2
"""Seconds; short, so that the next host soon takes over from one that was killed."""


class HostProcess:
    """`moonlet run MODULE` as a child. `log` takes what it says on stderr."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self._process = process
        self._log = log

    @classmethod
    async def start(cls, module: str, url: str, log: Path) -> "HostProcess":
        """Start one and return when it runs its agents; `Unavailable` with its last words."""
        command = ("-m", "moonlet.console", "run", module, "--url", url, "--json")
        options = (
            "--lease",
            str(LEASE),
            "--until-stdin-closes",
            "--restarts",
            "0",
            "--no-logs",
            "--no-metrics",
        )
        with log.open("ab") as errors:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *command,
                *options,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
                start_new_session=True,  # Ctrl-C is for us, who then stop it
            )
        host = cls(process, log)
        try:
            await host._ready()
        except BaseException:
            await host.kill()
            raise
        return host

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        """Whether the process is gone."""
        return self._process.returncode is not None

    async def _ready(self) -> None:
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(READY_MAX):
                line = await self._process.stdout.readline()
        except TimeoutError:
            raise self._failure(f"was not ready within {READY_MAX:.0f} s") from None
        if not line:
            raise self._failure("ended as it started")

    def _failure(self, what: str) -> Unavailable:
        words = self._log.read_text("utf-8", "replace").strip().splitlines()[-3:]
        return Unavailable(
            f"the host {what}; its last words ({self._log}): {' / '.join(words) or 'none'}"
        )

    async def ended(self) -> None:
        """Wait for an end that nobody asked for; raises `Unavailable`."""
        code = await self._process.wait()
        raise self._failure(f"ended by itself with exit code {code}")

    async def kill(self) -> None:
        """SIGKILL: no draining, no handing over."""
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()

    async def stop(self) -> None:
        """SIGTERM: it drains and hands over; after 11 s it is killed."""
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(STOP_MAX):
                    await self._process.wait()
            except TimeoutError:
                pass
        await self.kill()
