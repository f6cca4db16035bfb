"""The timers of a loop: by moment, those of one moment in the order in which they were set."""

from asyncio import TimerHandle
from collections import deque
from heapq import heapify, heappop, heappush
from typing import Any

STALE_MIN = 100  # cancelled timers that are kept without a thought


class Timers:
    """A heap of (ns, number, timer): handles are never compared, so their floats don't matter."""

    __slots__ = ("_count", "_stale", "heap")

    def __init__(self) -> None:
        self.heap: list[tuple[int, int, TimerHandle]] = []
        self._count = 0
        self._stale = 0

    def set(self, at_ns: int, timer: TimerHandle) -> None:
        """Let it be due at that moment."""
        self._count += 1
        heappush(self.heap, (at_ns, self._count, timer))

    def cancelled(self, timer: Any) -> None:
        """Know that a timer was cancelled; when most were, they are thrown out."""
        if not timer._scheduled:
            return
        self._stale += 1
        if self._stale > STALE_MIN and self._stale * 2 > len(self.heap):
            self.heap[:] = [entry for entry in self.heap if not entry[2]._cancelled]
            heapify(self.heap)
            self._stale = 0

    def next_ns(self) -> int | None:
        """The moment of the next timer that is not cancelled, or None."""
        heap = self.heap
        while heap and heap[0][2]._cancelled:
            heappop(heap)
            self._stale -= 1
        return heap[0][0] if heap else None

    def move_due(self, now_ns: int, ready: deque[Any]) -> None:
        """Move those that are due to the ready queue."""
        heap = self.heap
        while heap and heap[0][0] <= now_ns:
            timer: Any = heappop(heap)[2]
            timer._scheduled = False
            if timer._cancelled:
                self._stale -= 1
            else:
                ready.append(timer)
