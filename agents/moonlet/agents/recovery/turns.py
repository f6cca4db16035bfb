"""Turns at something of which only so much may go on at once: by urgency, then by age."""

import asyncio
import heapq
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager


class Turns:
    """At most `limit` at once; of those that wait the most urgent is next, then the oldest."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._busy = 0
        self._count = 0
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []

    @property
    def busy(self) -> bool:
        """Whether anybody has a turn."""
        return self._busy > 0

    @asynccontextmanager
    async def turn(self, urgency: int) -> AsyncGenerator[None, None]:
        """Wait for a turn, and have it; 0 is the most urgent. Cancelled, it takes none."""
        if self._busy < self._limit:
            self._busy += 1
        else:
            await self._wait(urgency)
        try:
            yield
        finally:
            self._next()

    async def _wait(self, urgency: int) -> None:
        self._count += 1
        granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (urgency, self._count, granted))
        try:
            await granted
        except asyncio.CancelledError:
            if granted.done() and not granted.cancelled():
                self._next()  # it was granted in the same moment: pass it on
            raise

    def _next(self) -> None:
        while self._waiting:
            _, _, granted = heapq.heappop(self._waiting)
            if not granted.done():
                granted.set_result(None)
                return
        self._busy -= 1
