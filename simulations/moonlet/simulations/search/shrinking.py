"""From a failing run to the few faults that it takes: delta debugging over what really fired.

Zeller and Hildebrandt's ddmin, then lower values (shorter, earlier). A smaller plan counts only if
it fails the same way: same error, same promise.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import Final, TypeVar

import msgspec

from moonlet.simulations.faults import LATENCIES, Fault, Profile
from moonlet.simulations.scenario import Run

MS: Final = 1_000_000
RUNS_MAX: Final = 300
SECONDS_MAX: Final = 20.0
T = TypeVar("T")

SHORTER: Final = (20 * MS, 100 * MS, 500 * MS, 1_500 * MS)


class Shrunk(msgspec.Struct):
    """The smallest failing run found. `exact`: the whole plan gave the failing run bit for bit.

    `spent`: the runs or the seconds ended first, and there may be a smaller one.
    """

    run: Run
    before: int
    runs: int
    seconds: float
    exact: bool
    spent: bool


class _Search:
    def __init__(self, run: Run, runs: int, seconds: float) -> None:
        self.best = run
        self.wanted = run.failure
        self.runs = 0
        self._runs_max = runs
        self._end = time.monotonic() + seconds

    @property
    def spent(self) -> bool:
        """Whether the budget is used up."""
        return self.runs >= self._runs_max or time.monotonic() > self._end

    def passes(self, plan: list[Fault], profile: Profile) -> bool:
        """Whether nothing fails with the plan."""
        self.runs += 1
        return self.best.scenario.run(self.best.seed, plan=plan, profile=profile).error is None

    def fails(self, plan: list[Fault], profile: Profile | None = None) -> bool:
        """Whether the plan fails in the same way; the best run is kept."""
        if self.spent:
            return False
        self.runs += 1
        profile = self.best.profile if profile is None else profile
        run = self.best.scenario.run(self.best.seed, plan=plan, profile=profile)
        failed = run.failure == self.wanted
        if failed:
            self.best = run
        if run.error is not None:
            # Its traceback holds the whole world, which the collector would let lie for long.
            gc.collect()
        return failed


def shrink(run: Run, *, runs: int = RUNS_MAX, seconds: float = SECONDS_MAX) -> Shrunk:
    """The smallest plan found that fails as `run` did, within so many runs and real seconds."""
    started = time.monotonic()
    search = _Search(run, runs, seconds)
    digest = run.digest
    if not search.fails(list(run.hits)):
        return Shrunk(run, len(run.hits), search.runs, time.monotonic() - started, False, False)
    exact = search.best.digest == digest
    plan = ddmin(list(search.best.hits), search.fails, lambda: search.spent)
    calmer = msgspec.structs.replace(run.profile, rates={}, few=0, regime="given")
    for profile in (
        msgspec.structs.replace(calmer, servers=1, commit_latency=0),
        msgspec.structs.replace(calmer, core=0),
        msgspec.structs.replace(calmer, latency=LATENCIES[0]),
        calmer,
    ):
        search.fails(plan, profile)
    _lower(search, plan)
    _fewer_commands(search, plan)
    took = time.monotonic() - started
    return Shrunk(search.best, len(run.hits), search.runs, took, exact, search.spent)


def ddmin(plan: list[T], fails: Callable[[list[T]], bool], spent: Callable[[], bool]) -> list[T]:
    """A plan from which no single thing can be taken away, unless the budget ends first.

    Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input" (2002).
    """
    if not plan or fails([]):
        return []
    size = max(1, len(plan) // 2)
    while not spent():
        place, reduced = 0, False
        while place < len(plan) and not spent():
            smaller = plan[:place] + plan[place + size :]
            if smaller and fails(smaller):
                plan, reduced = smaller, True
            else:
                place += size
        if size == 1 and not reduced:
            break
        if not reduced:
            size = max(1, size // 2)
        size = max(1, min(size, len(plan) // 2))
    return plan


def _fewer_commands(search: _Search, plan: list[Fault]) -> None:
    """Let the workload draw as few commands as still fail: 1, 2, 4 …

    A test may count its commands, and fail with fewer of them for that alone: so as few count only
    if they pass without the faults.
    """
    few = 1
    while plan and few < search.best.drawn and not search.spent:
        profile = msgspec.structs.replace(search.best.profile, commands=few)
        if search.passes([], profile) and search.fails(plan, profile):
            return
        few *= 2


def _lower(search: _Search, plan: list[Fault]) -> None:
    """Make each fault as short as it may be, and as early."""
    for place, fault in enumerate(plan):
        lengths = [] if fault.kind in ("skew", "drift") else [n for n in SHORTER if n < fault.lasts]
        for name, values in (("lasts", lengths), ("at", [0, fault.at // 8, fault.at // 2])):
            for value in values:
                if value >= getattr(fault, name):
                    break
                lower = list(plan)
                lower[place] = msgspec.structs.replace(plan[place], **{name: value})
                if search.fails(lower):
                    plan[place] = lower[place]
                    break
