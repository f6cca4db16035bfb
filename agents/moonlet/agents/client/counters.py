"""A client's numbers to one agent in one lane, and how far they may run ahead.

The agent's window holds 1,024 numbers. So a number is only given out while the oldest one still in
flight is less than that behind: an old one that is retried for long must not fall out of the
window, where it would be taken for a duplicate.
"""

import asyncio
from collections import deque

from moonlet.core.windows import WINDOW


class Counter:
    """Numbers from 1 in `session`, each in flight from `take` to `done`. Small while at rest."""

    __slots__ = ("_in_flight", "_last", "_waiting", "session")

    def __init__(self, session: str) -> None:
        self.session = session
        self._last = 0
        self._in_flight: dict[int, None] = {}
        self._waiting: deque[asyncio.Future[int]] | None = None

    async def take(self) -> int:
        """The next number, once there is room for it; first come, first served.

        Cancelled, it leaves no number in flight.
        """
        if not self._waiting and self._has_room():
            return self._give()
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        if self._waiting is None:
            self._waiting = deque()
        self._waiting.append(future)
        try:
            return await future
        except asyncio.CancelledError:
            if future.cancelled():
                self._waiting.remove(future)
            else:
                self.done(future.result())
            raise

    def done(self, number: int) -> None:
        """Its outcome is known, or nobody waits for it any more."""
        del self._in_flight[number]
        while self._waiting and self._has_room():
            future = self._waiting.popleft()
            if not future.done():
                future.set_result(self._give())

    def _give(self) -> int:
        self._last += 1
        self._in_flight[self._last] = None
        return self._last

    def _has_room(self) -> bool:
        oldest = next(iter(self._in_flight), None)
        return oldest is None or self._last + 1 - oldest < WINDOW
