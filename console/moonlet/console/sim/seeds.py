"""Many seeds of one scenario, in several processes, in order; the first failing seed ends it."""

from __future__ import annotations

import logging
import re
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec

from moonlet.console.common import counted
from moonlet.console.sim.processes import in_processes
from moonlet.simulations.replay import scenario_of
from moonlet.simulations.scenario import Scenario
from moonlet.simulations.search import TWICE_EVERY, Coverage, check_determinism
from moonlet.telemetry import configure

CHUNK = 10
"""Seeds that a process runs before it says what came of them."""

FOLDER = Path(".moonlet/seeds")


class SeedRange(msgspec.Struct):
    """What came of the seeds `first` to `next` - 1; `failed` is the seed that ended it."""

    first: int
    next: int
    failed: int | None = None
    virtual_ns: int = 0
    steps: int = 0
    commits: int = 0
    armed: dict[str, int] = {}
    fired: dict[str, int] = {}
    reached: dict[str, int] = {}


class SweepTotal:
    """All parts so far."""

    def __init__(self) -> None:
        self.seeds = 0
        self.failed: int | None = None
        self.virtual_ns = 0
        self.steps = 0
        self.commits = 0
        self.coverage = Coverage()
        self._began = time.monotonic()

    def add(self, part: SeedRange) -> None:
        """Take in the next part."""
        self.seeds += part.next - part.first
        self.failed = part.failed
        self.virtual_ns += part.virtual_ns
        self.steps += part.steps
        self.commits += part.commits
        self.coverage.armed.update(part.armed)
        self.coverage.fired.update(part.fired)
        self.coverage.reached.update(part.reached)

    @property
    def seconds(self) -> float:
        """Real seconds since the sweep began."""
        return time.monotonic() - self._began

    def __str__(self) -> str:
        seconds = max(self.seconds, 1e-9)
        return (
            f"{counted(self.seeds, 'seed')} in {seconds:.1f} s: "
            f"{self.seeds / seconds:.1f} seeds/s, "
            f"{self.steps / seconds:,.0f} steps/s, virtual : real "
            f"{self.virtual_ns / 1e9 / seconds:,.0f}, {self.commits:,} commits"
        )


Job = tuple[str, int, int, tuple[int, ...]]
"""A scenario's name, its first seed and the end, and the kinds of servers; none: its own."""


def run_range(job: Job) -> SeedRange:
    """Run one chunk, in whatever process."""
    name, first, end, replicas = job
    configure(logging.CRITICAL)
    scenario = with_replicas(scenario_of(name), replicas)
    part = SeedRange(first, end)
    armed: Counter[str] = Counter()
    fired: Counter[str] = Counter()
    reached: Counter[str] = Counter()
    for seed in range(first, end):
        run = scenario.run(seed)
        if seed % TWICE_EVERY == 0 and run.error is None:
            run.error = check_determinism(run)
        part.virtual_ns += run.virtual_ns
        part.steps += run.trace.count
        part.commits += run.commits
        armed.update(run.plan.armed)
        fired.update(run.plan.fired)
        reached.update(run.reached.keys())
        if run.error is not None:
            part.failed, part.next = seed, seed + 1
            break
    part.armed, part.fired, part.reached = dict(armed), dict(fired), dict(reached)
    return part


def with_replicas(scenario: Scenario, replicas: tuple[int, ...]) -> Scenario:
    """The scenario on these kinds of servers: 1, or 3 for a cluster; none: as it is."""
    return msgspec.structs.replace(scenario, replicas=replicas) if replicas else scenario


def run_seeds(
    name: str,
    first: int,
    end: int,
    *,
    jobs: int = 1,
    seconds: float | None = None,
    replicas: tuple[int, ...] = (),
) -> Iterator[SeedRange]:
    """The parts in order, until one failed or the time is up; it may run over by a chunk."""
    until = time.monotonic() + seconds if seconds is not None else float("inf")
    chunks = ((name, at, min(end, at + CHUNK), replicas) for at in range(first, end, CHUNK))
    for part in in_processes(run_range, chunks, processes=jobs):
        yield part
        if part.failed is not None or time.monotonic() > until:
            return


def mark_of(name: str) -> Path:
    """The file that keeps how far the sweeps of a scenario came."""
    return FOLDER / f"{re.sub('[^A-Za-z0-9_-]+', '-', name)}.next"


def read_mark(name: str) -> int:
    """The seed behind the last one that passed; 0 if there was no sweep."""
    try:
        return int(mark_of(name).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return 0


def write_mark(name: str, seed: int) -> None:
    """Keep it for `--resume`."""
    path = mark_of(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{seed}\n", encoding="utf-8")
