"""What repeats too often: the one place that decides whether a line is worth another."""

from collections.abc import Callable
from typing import Final

EVERY: Final = 10.0
"""Seconds between two lines of one kind."""

KINDS_MAX: Final = 1_024
"""Kinds of which it is remembered when they were told last; of more, all are forgotten."""

ONCE_MAX: Final = 1_000
"""What is told but once is told for so many at most."""


class Repeats:
    """One a host, say. `now` gives seconds that grow."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._last: dict[str, float] = {}
        self._once: set[tuple[str, str]] = set()

    def due(self, kind: str) -> bool:
        """Whether a line of this kind may be written now: ten seconds after the last one."""
        now = self._now()
        last = self._last.get(kind)
        if last is not None and now - last < EVERY:
            return False
        if len(self._last) >= KINDS_MAX and last is None:
            self._last.clear()
        self._last[kind] = now
        return True

    def first(self, kind: str, of: str) -> bool:
        """Whether it is the first of these; after a thousand different ones none is."""
        if (kind, of) in self._once or len(self._once) >= ONCE_MAX:
            return False
        self._once.add((kind, of))
        return True
