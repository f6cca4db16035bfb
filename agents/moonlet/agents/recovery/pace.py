"""Folding in slices, between which everything else of the host has its turn."""

import asyncio
from typing import Final

from moonlet.core.ports import Clock

SLICE_SECONDS: Final = 0.004
"""Seconds of folding at a stretch: commands of warm agents and the lease wait no longer."""

SLICE_COMMITS: Final = 256
"""Commits folded at a stretch."""

LOOK_EVERY: Final = 16
"""Commits between two looks at the clock."""


class Slices:
    """What all foldings of a host share: one slice at a time, and one in each turn of the loop."""

    __slots__ = ("clock", "lock")

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.lock = asyncio.Lock()

    def pace(self) -> "Pace":
        """The pace of one more folding."""
        return Pace(self)


class Pace:
    """One folding's: `async with pace: … fold; if pace.due(): await pace.rest()`.

    `seconds` is how long its slices took together.
    """

    __slots__ = ("_began", "_clock", "_count", "_lock", "seconds")

    def __init__(self, slices: Slices) -> None:
        self._clock = slices.clock
        self._lock = slices.lock
        self._count = 0
        self._began = 0.0
        self.seconds = 0.0

    async def __aenter__(self) -> "Pace":
        await self._lock.acquire()
        self._count = 0
        self._began = self._clock.monotonic()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.seconds += self._clock.monotonic() - self._began
        self._lock.release()

    def due(self) -> bool:
        """One commit more was folded: whether others should have their turn."""
        self._count += 1
        if self._count >= SLICE_COMMITS:
            return True
        if self._count % LOOK_EVERY:
            return False
        return self._clock.monotonic() - self._began >= SLICE_SECONDS

    async def rest(self) -> None:
        """Let others have their turn."""
        await self.__aexit__()
        await asyncio.sleep(0)
        await self.__aenter__()
