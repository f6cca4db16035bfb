"""What a rule remembers of its metric: as much as its window needs."""

from collections import deque
from collections.abc import Iterable
from typing import Final

from moonlet.telemetry.alerts.rule import AlertRule
from moonlet.telemetry.metrics import BOUNDS, Family, Histogram, Labels
from moonlet.telemetry.metrics.histogram import quantile_of

SERIES_MAX: Final = 1_000
"""Label sets of one rule that are looked at; further ones are left out."""

LOOKS_MAX: Final = 128
"""Looks that are remembered: of a window with more, only each so-and-so-many-th is."""

Counts = tuple[float, ...]


class Series:
    """The past of one rule's metric."""

    def __init__(self, rule: AlertRule) -> None:
        self._rule = rule
        self._past: deque[tuple[float, dict[Labels, Counts]]] = deque()

    def values(self, found: Family | None, now: float) -> dict[Labels, float]:
        """The value of each label set, as its rule takes it.

        What is new to a window grew from 0, unless the window is: a host that has just begun to
        look can't say when things happened.
        """
        rule = self._rule
        samples = found.samples[:SERIES_MAX] if found is not None else []
        if rule.how in ("above", "below"):
            return {s.labels: s.value for s in samples if not isinstance(s.value, Histogram)}
        counts = {s.labels: _counts(s.value) for s in samples}
        first = not self._past
        while self._past and self._past[0][0] < now - rule.window:
            self._past.popleft()
        before = self._past[0][1] if self._past else (counts if first else {})
        if not self._past or now - self._past[-1][0] >= rule.window / LOOKS_MAX:
            self._past.append((now, counts))
        grown = {labels: _grown(before.get(labels), ends) for labels, ends in counts.items()}
        if rule.how == "increase":
            return {labels: ends[0] for labels, ends in grown.items()}
        return {labels: _p99(ends) for labels, ends in grown.items() if any(ends)}


def _counts(value: "float | Histogram") -> Counts:
    return tuple(value.counts) if isinstance(value, Histogram) else (value,)


def _grown(before: Counts | None, now: Counts) -> Counts:
    """A counter that is smaller than it was began anew."""
    if before is None or any(n < b for n, b in zip(now, before, strict=True)):
        return now
    return tuple(n - b for n, b in zip(now, before, strict=True))


def _p99(counts: Iterable[float]) -> float:
    found = [int(count) for count in counts]
    assert len(found) == len(BOUNDS) + 1
    return quantile_of(found, 0.99)
