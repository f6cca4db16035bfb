"""The timers of a loop: by moment, those of one moment in the order in which they were set."""

from asyncio import TimerHandle
from collections import deque
from collections.abc import Callable
from heapq import heapify, heappop, heappush
from typing import Any

STALE_MIN = 100  # cancelled timers that are kept without a thought


class LoopTimers:
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

    def keep(self, wanted: Callable[[Any], bool]) -> None:
        """Throw out all others."""
        self.heap[:] = [entry for entry in self.heap if wanted(entry[2])]
        heapify(self.heap)

    def move_next(self, ready: deque[Any]) -> int | None:
        """Move all of the next moment to the ready queue; returns that moment, None if none is."""
        heap = self.heap
        while heap:
            at_ns, _, timer = heappop(heap)
            entry: Any = timer
            entry._scheduled = False
            if entry._cancelled:
                self._stale -= 1
                continue
            ready.append(entry)
            if heap and heap[0][0] == at_ns:
                self.move_due(at_ns, ready)
            return at_ns
        return None

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
