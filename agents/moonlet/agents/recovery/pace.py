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


class Pace:
    """Counts what is folded: `while …: fold(); if pace.due(): await pace.rest()`."""

    __slots__ = ("_began", "_clock", "_count", "seconds")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._count = 0
        self._began = clock.monotonic()
        self.seconds = 0.0
        """How long the slices took together."""

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
        self.end()
        await asyncio.sleep(0)
        self.begin()

    def begin(self) -> None:
        """A slice begins."""
        self._count = 0
        self._began = self._clock.monotonic()

    def end(self) -> None:
        """It ended, and others have their turn."""
        self.seconds += self._clock.monotonic() - self._began
