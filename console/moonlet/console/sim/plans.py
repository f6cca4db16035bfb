"""All single faults of one calm run, in several processes: which of them make it fail."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence

import msgspec

from moonlet.console.sim.processes import in_processes
from moonlet.simulations.faults import Fault
from moonlet.simulations.replay import scenario_of
from moonlet.simulations.search import CAN_FORK, BranchOutcome, run_branches, run_whole
from moonlet.telemetry import configure

CHUNK = 20
"""Plans that a process runs before it says what came of them, where processes can't fork."""

Plan = tuple[Fault, ...]
Job = tuple[str, int, int, int, Sequence[Plan]]
"""A scenario's name, its seed, servers, the number of the first plan, and plans."""


def run_range(job: Job) -> list[BranchOutcome]:
    """Run some plans from their beginning, in whatever process."""
    name, seed, servers, first, plans = job
    configure(logging.CRITICAL)
    outcomes = run_whole(scenario_of(name), plans, seed, servers=servers)
    return [msgspec.structs.replace(found, number=first + found.number) for found in outcomes]


def run_plans(
    name: str, plans: Sequence[Plan], seed: int, *, servers: int, jobs: int, fork: bool = CAN_FORK
) -> Iterator[BranchOutcome]:
    """The outcome of each plan; without `fork` each run begins at its beginning."""
    if fork:
        yield from run_branches(scenario_of(name), plans, seed, servers=servers, jobs=jobs)
        return
    chunks = (
        (name, seed, servers, first, plans[first : first + CHUNK])
        for first in range(0, len(plans), CHUNK)
    )
    for part in in_processes(run_range, chunks, processes=jobs):
        yield from part
