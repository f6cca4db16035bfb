"""How long things took: counts in fixed steps, cheap enough for each command."""

from bisect import bisect_left
from typing import Final

BOUNDS: Final = (
    0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01,
    0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0,
)  # fmt: skip
"""Seconds; a bound is inclusive, as in Prometheus. From what a handler takes, a few microseconds,
to what a command may wait for a host that was killed."""


class Histogram:
    """Counts of durations by the steps of `BOUNDS`, one more for what took longer, and their sum.

    Not for threads: one loop writes, and reads. A negative duration (two clocks) counts as 0.
    """

    __slots__ = ("counts", "sum")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)
        self.sum = 0.0

    def observe(self, seconds: float) -> None:
        """It took so long."""
        if seconds < 0.0:
            seconds = 0.0
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.sum += seconds

    @property
    def count(self) -> int:
        """How many there were."""
        return sum(self.counts)

    def add(self, other: "Histogram") -> None:
        """Count what another counted too."""
        self.counts = [
            mine + theirs for mine, theirs in zip(self.counts, other.counts, strict=True)
        ]
        self.sum += other.sum

    def quantile(self, q: float) -> float:
        """Seconds below which the part `q` of all lies, by straight lines within a step.

        As Prometheus' `histogram_quantile`: what is beyond the last bound is told as that bound;
        0 if there was nothing.
        """
        return quantile_of(self.counts, q)


def quantile_of(counts: list[int], q: float) -> float:
    """The same of counts alone: what came between two scrapes is a difference of them."""
    wanted, seen = q * sum(counts), 0
    for place, count in enumerate(counts):
        if count and seen + count >= wanted:
            if place == len(BOUNDS):
                return BOUNDS[-1]
            low = BOUNDS[place - 1] if place else 0.0
            return low + (BOUNDS[place] - low) * (wanted - seen) / count
        seen += count
    return 0.0
