"""Lines that wait to be written: bounded, and what matters least is dropped first, and counted."""

import threading
from collections import deque
from typing import Any, Final

import msgspec

LINES_MAX: Final = 50_000
"""Lines that wait at most."""

BYTES_MAX: Final = 32 * 2**20
"""Characters, about, that wait at most."""

LINE_SIZE: Final = 200
"""Characters that a line counts for beside its texts."""

_STEPS: Final = (10, 20, 30, 40, 50)


class WaitingLine(msgspec.Struct, gc=False):
    """A line as it was written, not yet looked at. `facts` are plain, with secrets in them yet."""

    time: int
    level: int
    module: str
    event: str
    facts: dict[str, Any]
    size: int


class LinesWaiting:
    """For many threads that `put`, and one that `take`s.

    Full means `lines_max` or `bytes_max`. Then the oldest line of the lowest level goes, if that is
    lower than the new one's; else the new one itself does. Nobody ever waits.
    """

    def __init__(self, lines_max: int = LINES_MAX, bytes_max: int = BYTES_MAX) -> None:
        self._lines_max = lines_max
        self._bytes_max = bytes_max
        self._levels: tuple[deque[WaitingLine], ...] = tuple(deque() for _ in _STEPS)
        self._count = self._bytes = 0
        # One thread may come in again: the collector runs finalizers anywhere, and those may log.
        self._lock = threading.RLock()
        self.come = threading.Event()
        """Set when there is something to take."""
        self.dropped: dict[int, int] = {}
        """Lines that were dropped, by level."""

    def __len__(self) -> int:
        return self._count

    def put(self, line: WaitingLine) -> None:
        """Let it wait, or drop what matters less."""
        step = min(max(line.level // 10, 1), 5) - 1
        with self._lock:
            while self._count >= self._lines_max or self._bytes + line.size > self._bytes_max:
                if not self._make_room(step):
                    self._drop(line)
                    return
            self._levels[step].append(line)
            self._count += 1
            self._bytes += line.size
        if not self.come.is_set():
            self.come.set()

    def _make_room(self, step: int) -> bool:
        for lines in self._levels[:step]:
            if lines:
                out = lines.popleft()
                self._count -= 1
                self._bytes -= out.size
                self._drop(out)
                return True
        return False

    def _drop(self, line: WaitingLine) -> None:
        self.drop(1, line.level)

    def drop(self, count: int, level: int) -> None:
        """Count what was taken and is not written."""
        if count:
            self.dropped[level] = self.dropped.get(level, 0) + count

    def take(self, most: int) -> list[WaitingLine]:
        """Up to `most` lines, those of high levels first if there are more; by time."""
        taken: list[WaitingLine] = []
        with self._lock:
            for lines in reversed(self._levels):
                while lines and len(taken) < most:
                    taken.append(lines.popleft())
            self._count -= len(taken)
            self._bytes -= sum(line.size for line in taken)
            if not self._count:
                self.come.clear()
        taken.sort(key=_time)
        return taken

    def put_back(self, lines: list[WaitingLine]) -> None:
        """They could not be written: they wait again, before all others, and debug lines don't."""
        with self._lock:
            for line in reversed(lines):
                step = min(max(line.level // 10, 1), 5) - 1
                full = self._count >= self._lines_max or self._bytes + line.size > self._bytes_max
                if step == 0 or (full and not self._make_room(step)):
                    self._drop(line)
                    continue
                self._levels[step].appendleft(line)
                self._count += 1
                self._bytes += line.size
            if self._count:
                self.come.set()


def _time(line: WaitingLine) -> int:
    return line.time
