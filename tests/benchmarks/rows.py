"""What a benchmark is: rows, each measured against its baseline in interleaved rounds."""

import asyncio
import statistics
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import NamedTuple

ROUND_SECONDS = 300
"""Seconds that a round may take: one side may have stopped for good."""


class Pair(NamedTuple):
    """One round's figures of a row: Moonlet's and its baseline's, measured one after the other."""

    ours: float
    baseline: float


Round = dict[str, Pair]
"""The figures of one round by row name."""


@dataclass(frozen=True)
class Scale:
    """How much a round does: 1.0 for the table, less for a quick look."""

    factor: float = 1.0

    def of(self, count: int, least: int = 1) -> int:
        """`count` at this scale."""
        return max(least, int(count * self.factor))


@dataclass(frozen=True)
class Row:
    """A line of the table. Bars: `ratio` of the baseline, or an absolute `value`, or both."""

    name: str
    unit: str
    baseline: str
    """What the baseline is, in words."""
    less_is_better: bool = False
    bar_ratio: float | None = None
    bar_value: float | None = None

    def bar(self) -> str:
        """The bar in words."""
        sign = "≤" if self.less_is_better else "≥"
        bars = []
        if self.bar_value is not None:
            bars.append(f"{sign} {figure(self.bar_value)} {self.unit}")
        if self.bar_ratio is not None:
            bars.append(f"{sign} {self.bar_ratio:g} ×")
        return ", ".join(bars) or "none"


@dataclass(frozen=True)
class Work:
    """Rows that are measured together. `measure` yields one `Round` after another, for ever.

    What it needs it sets up before the first, and tears down when it is closed.
    """

    rows: tuple[Row, ...]
    measure: Callable[[Scale], AsyncGenerator[Round, None]]
    rounds: int = 5


@dataclass(frozen=True)
class Result:
    """A measured row: the medians of its rounds."""

    row: Row
    value: float
    baseline: float
    rounds: list[Pair] = field(default_factory=list)

    @property
    def ratio(self) -> float:
        """Ours by the baseline's."""
        return self.value / self.baseline

    @property
    def met(self) -> bool:
        """Whether all bars are met."""
        row = self.row
        sign = -1 if row.less_is_better else 1
        return (row.bar_ratio is None or sign * self.ratio >= sign * row.bar_ratio) and (
            row.bar_value is None or sign * self.value >= sign * row.bar_value
        )


def figure(value: float) -> str:
    """A number for people: three digits that matter."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.3g}"


async def measure(work: Work, scale: Scale, rounds: int) -> list[Result]:
    """Run the rounds; raises if a row has no figure, or no baseline, in one of them."""
    taken: dict[str, list[Pair]] = {row.name: [] for row in work.rows}
    async with aclosing(work.measure(scale)) as source:
        for _ in range(rounds):
            async with asyncio.timeout(ROUND_SECONDS):
                figures = await anext(source)
            for name, pairs in taken.items():
                pair = figures[name]
                if not (pair.ours > 0 and pair.baseline > 0):
                    raise ValueError(f"{name}: no figure, or no baseline: {pair}")
                pairs.append(pair)
    return [
        Result(
            row,
            statistics.median(pair.ours for pair in taken[row.name]),
            statistics.median(pair.baseline for pair in taken[row.name]),
            taken[row.name],
        )
        for row in work.rows
    ]
