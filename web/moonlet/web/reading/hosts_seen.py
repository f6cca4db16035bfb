"""Which hosts came and went while the console ran, and whether one died."""

import asyncio
from collections import deque
from typing import Final

import msgspec

from moonlet.core.errors import MoonletError
from moonlet.streams import Bus, Leases, Partition, stream_facts

LOOK: Final = 1.0
"""Seconds between two looks at the leases."""

CHANGES_MAX: Final = 200
"""Changes that are remembered."""

CAME: Final = "is here"
LEFT: Final = "left in good order"
DIED: Final = "died: its lease ran out"

Owned = dict[tuple[str, int], Partition]


class HostChange(msgspec.Struct, frozen=True):
    """What became of a host, seen at `at` (µs since 1970, the console's clock)."""

    at: int
    host: str
    what: str


class HostsSeen:
    """Looks while it is open: `async with HostsSeen(bus)`. The newest change is the last."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._here: set[str] | None = None
        self._owned: Owned = {}
        self._changes: deque[HostChange] = deque(maxlen=CHANGES_MAX)

    @property
    def changes(self) -> list[HostChange]:
        """What was seen."""
        return list(self._changes)

    async def __aenter__(self) -> "HostsSeen":
        self._task = asyncio.create_task(self._look(), name="web: hosts")
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _look(self) -> None:
        while True:
            try:
                await self._see()
            except MoonletError:
                pass  # the server is away, which is told elsewhere: nobody knows who is here
            await asyncio.sleep(LOOK)  # sleeps: between two looks

    async def _see(self) -> None:
        if await stream_facts(self._bus, self._bus.topology.bucket("leases")) is None:
            return
        hosts, owned = await Leases(self._bus, 1).look()
        here = {host.host for host in hosts}
        if self._here is not None:
            for name in sorted(here - self._here):
                self._note(name, CAME)
            for name in sorted(self._here - here):
                self._note(name, DIED if self._crashed(name, owned) else LEFT)
        self._here, self._owned = here, owned

    def _crashed(self, name: str, owned: Owned) -> bool:
        """Whether a partition of its is still its, or was taken over as one whose owner crashed."""
        its = [place for place, record in self._owned.items() if record.owner == name]
        return any(
            owned[place].owner == name or owned[place].crashes > self._owned[place].crashes
            for place in its
            if place in owned
        )

    def _note(self, host: str, what: str) -> None:
        self._changes.append(HostChange(self._bus.clock.now_us(), host, what))
