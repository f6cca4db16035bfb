"""Seed after seed, until one fails: what a simulated test does."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator

import msgspec

from moonlet.simulations.scenario import Run, Scenario
from moonlet.simulations.search.coverage import Coverage
from moonlet.simulations.search.determinism import TWICE_EVERY, check_determinism
from moonlet.simulations.search.report import failure_of


class Sweep(msgspec.Struct):
    """What a sweep found: the first failing run, if any, and what the faults did."""

    scenario: Scenario
    coverage: Coverage
    passed: int = 0
    failed: Run | None = None
    seconds: float = 0.0
    virtual_ns: int = 0
    steps: int = 0
    commits: int = 0

    def report(self) -> None:
        """Raise `SimulationFailed` if a seed failed: shrunk, saved, and with the line to replay."""
        __tracebackhide__ = True
        if self.failed is not None:
            raise failure_of(self.failed, passed=self.passed, seconds=self.seconds)

    @property
    def rate(self) -> float:
        """Seeds a second."""
        return self.passed / self.seconds if self.seconds else 0.0


def sweep(
    scenario: Scenario,
    seeds: Iterable[int],
    *,
    progress: Callable[[Sweep], None] | None = None,
) -> Sweep:
    """Run the seeds in order until one fails."""
    found = Sweep(scenario, Coverage())
    started = time.monotonic()
    for run in _runs(scenario, seeds):
        found.seconds = time.monotonic() - started
        found.coverage.add(run)
        found.virtual_ns += run.virtual_ns
        found.steps += run.trace.count
        found.commits += run.commits
        if run.error is not None:
            found.failed = run
            break
        found.passed += 1
        if progress is not None:
            progress(found)
    return found


def _runs(scenario: Scenario, seeds: Iterable[int]) -> Iterator[Run]:
    for number, seed in enumerate(seeds):
        run = scenario.run(seed)
        if number % TWICE_EVERY == 0 and run.error is None:
            run.error = check_determinism(run)
        yield run
