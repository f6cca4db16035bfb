"""The demo's hosts in turn: the one that runs, watched, and killed in mid-run if asked for."""

import asyncio
from collections.abc import Awaitable
from pathlib import Path
from typing import Final

import msgspec

from moonlet.agents import Client
from moonlet.console.common import Advance, HostProcess, Output, counted
from moonlet.satellites.night import Drive
from moonlet.streams import stream_facts

KILL_AT: Final = 0.4
"""The part of the ticks after which --kill strikes."""

LOOK: Final = 0.001
"""Seconds between two looks at whether a command is in flight."""


class Kill(msgspec.Struct, frozen=True):
    """A SIGKILL that hit: when (µs since 1970), after how many ticks, with how many commands.

    `in_flight` is counted after it: commands that were stored, and not yet committed and done.
    """

    pid: int
    time: int
    tick: int
    in_flight: int


class DemoHosts:
    """Starts, watches, kills and stops the demo's hosts: one after the other."""

    def __init__(self, moon: Client, url: str, log: Path, output: Output) -> None:
        self._moon = moon
        self._url = url
        self._log = log
        self._output = output
        self._host: HostProcess | None = None
        self._done = self._total = 0
        self.kills: list[Kill] = []

    async def __aenter__(self) -> "DemoHosts":
        self._log.unlink(missing_ok=True)
        await self._start()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._host is not None:
            await self._host.stop()

    async def _start(self) -> None:
        self._host = await HostProcess.start("moonlet.satellites", self._url, self._log)

    @property
    def pid(self) -> int:
        """The process id of the host that runs now."""
        assert self._host is not None, "entered"
        return self._host.pid

    def watch(self, advance: Advance) -> Advance:
        """The driver's progress, passed on to `advance` and noted for --kill."""

        def take(done: int, total: int) -> None:
            self._done, self._total = done, total
            advance(done, total)

        return take

    async def through(self, driving: Awaitable[Drive], *, kill: bool) -> Drive:
        """Drive to the end; a host that ends by itself ends the demo (`Unavailable`)."""
        work = asyncio.ensure_future(driving)
        watch = asyncio.ensure_future(self._watch(kill))
        try:
            await asyncio.wait({work, watch}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                watch.result()
            return await work
        finally:
            for task in (work, watch):
                task.cancel()
            await asyncio.gather(work, watch, return_exceptions=True)

    async def _watch(self, kill: bool) -> None:
        assert self._host is not None, "entered"
        while kill and not self.kills and not self._host.has_ended:
            if not await self._strike(self._host):
                await asyncio.sleep(LOOK)
        await self._host.ended()

    async def _strike(self, host: HostProcess) -> bool:
        """Kill the host once it is far enough and has a command in flight, and start another.

        A kill that met it idle doesn't count: it is tried again. Says whether it was killed.
        """
        if self._done < self._total * KILL_AT or not self._total or not await self._in_flight():
            return False
        await host.kill()
        killed = Kill(host.pid, self._moon.bus.clock.now_us(), self._done, await self._in_flight())
        if killed.in_flight:
            self.kills.append(killed)
            self._output.remark(
                f"killed the host (process {killed.pid}) after tick {killed.tick} with"
                f" {counted(killed.in_flight, 'command')} in flight; another starts"
            )
        await self._start()
        return True

    async def _in_flight(self) -> int:
        """Commands that are stored, and not yet committed with their effects out."""
        bus = self._moon.bus
        count = 0
        for name in ("mailboxes", "internal"):
            facts = await stream_facts(bus, bus.topology.stream(name))
            count += facts.messages if facts is not None else 0
        return count
