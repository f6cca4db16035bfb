"""Times at which the model has something to do by itself; time only passes by argument."""

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Final

PACE: Final = 250_000_000  # ns: expiry and schedules are looked at no more often than this


class Alarm:
    """Calls back at one time, which can be moved; made by `Alarms.new`."""

    __slots__ = ("_alarms", "at", "callback")

    def __init__(self, alarms: "Alarms", callback: Callable[[int], None]) -> None:
        self._alarms = alarms
        self.callback = callback
        self.at: int | None = None

    def set(self, at: int) -> None:
        """Ring at `at` and at no other time."""
        if at != self.at:
            self.at = at
            self._alarms.push(self)

    def pace(self, now: int, due: int | None) -> None:
        """Ring for what is `due` (None: nothing is), but never sooner than `PACE` from now.

        An earlier time that is already set stays: the server doesn't put off a timer.
        """
        if due is None:
            self.at = None
            return
        at = max(due, now + PACE)
        if self.at is None or at < self.at:
            self.set(at)

    def stop(self) -> None:
        """Don't ring any more, until it is set again."""
        self.at = None


class Alarms:
    """All alarms of one model; those of the same time ring in the order they were set."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Alarm]] = []
        self._count = 0

    def new(self, callback: Callable[[int], None]) -> Alarm:
        """An alarm that isn't set; `callback` gets the time it was set to."""
        return Alarm(self, callback)

    def push(self, alarm: Alarm) -> None:
        """For `Alarm` only."""
        assert alarm.at is not None
        self._count += 1
        heappush(self._heap, (alarm.at, self._count, alarm))

    def next(self) -> int | None:
        """When the next one rings; None if none is set."""
        heap = self._heap
        while heap and heap[0][2].at != heap[0][0]:
            heappop(heap)
        return heap[0][0] if heap else None

    def ring(self, now: int) -> None:
        """Ring all that are due at `now`, each with its own time, in order."""
        while (at := self.next()) is not None and at <= now:
            alarm = heappop(self._heap)[2]
            alarm.at = None
            alarm.callback(at)
