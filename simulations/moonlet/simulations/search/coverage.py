"""What the faults of a sweep did: armed, fired, and, in a sample, mattered."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from moonlet.simulations.faults import KINDS, declared

if TYPE_CHECKING:
    from moonlet.simulations.scenario import Run


class Coverage:
    """Counts by kind. `pairs` counts runs in which two kinds fired both.

    `reached` counts the runs that came to a mark of that name.
    """

    def __init__(self) -> None:
        self.runs = 0
        self.armed: Counter[str] = Counter()
        self.fired: Counter[str] = Counter()
        self.tried: Counter[str] = Counter()
        self.mattered: Counter[str] = Counter()
        self.pairs: Counter[tuple[str, str]] = Counter()
        self.reached: Counter[str] = Counter()

    def add(self, run: Run) -> None:
        """Take in one run."""
        self.runs += 1
        self.armed.update(run.plan.armed)
        fired = run.plan.fired
        self.fired.update(fired)
        self.reached.update(run.reached.keys())
        kinds = sorted(fired)
        self.pairs.update(
            (one, other) for place, one in enumerate(kinds) for other in kinds[place + 1 :]
        )

    def try_without(self, run: Run) -> None:
        """Repeat a run without each of a few of its faults: another digest means it mattered."""
        for fault in run.hits[:: max(1, len(run.hits) // 8)]:
            others = [hit for hit in run.hits if hit is not fault]
            again = run.scenario.run(run.seed, plan=others, profile=run.profile)
            self.tried[fault.kind] += 1
            self.mattered[fault.kind] += again.digest != run.digest

    def never_reached(self, *prefixes: str) -> list[str]:
        """The marks in loaded modules that begin so which no run came to, sorted."""
        return sorted(declared(*prefixes) - set(self.reached))

    def lines(self) -> list[str]:
        """The table, a line per kind that was armed."""
        lines = [f"{'fault':18} {'armed':>8} {'fired':>8} {'mattered':>10}"]
        for kind in KINDS:
            if self.armed[kind]:
                tried = self.tried[kind]
                share = f"{self.mattered[kind]}/{tried}" if tried else "-"
                lines.append(f"{kind:18} {self.armed[kind]:8,} {self.fired[kind]:8,} {share:>10}")
        return lines
