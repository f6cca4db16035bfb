"""All single faults of one calm run, in several processes: which of them make it fail."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence

import msgspec

from moonlet.console.sim_processes import in_processes
from moonlet.simulations.exhaust import exhaust
from moonlet.simulations.faults import Fault
from moonlet.simulations.replay import scenario_of
from moonlet.telemetry import configure

CHUNK = 20
"""Plans that a process runs before it says what came of them."""

Plan = tuple[Fault, ...]


class Part(msgspec.Struct, frozen=True):
    """What came of some plans: `failed` has those that failed, each with its failure."""

    plans: int
    failed: tuple[tuple[str, Plan], ...]


def run_part(job: tuple[str, int, int, Sequence[Plan]]) -> Part:
    """Run (scenario, seed, servers, plans), in whatever process."""
    name, seed, servers, plans = job
    configure(logging.CRITICAL)
    runs = exhaust(scenario_of(name), plans, seed, servers=servers)
    failed = [
        (run.failure, plan) for plan, run in zip(plans, runs, strict=True) if run.error is not None
    ]
    return Part(len(plans), tuple(failed))


def run_plans(
    name: str, plans: Sequence[Plan], seed: int, *, servers: int, jobs: int
) -> Iterator[Part]:
    """The parts, in order."""
    chunks = ((name, seed, servers, plans[at : at + CHUNK]) for at in range(0, len(plans), CHUNK))
    return in_processes(run_part, chunks, processes=jobs)
