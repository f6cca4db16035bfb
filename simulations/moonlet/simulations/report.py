"""What a failed simulation prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from moonlet.simulations.sweep import Sweep


class SimulationFailed(AssertionError):
    """A seed failed; the text says which faults it takes and how to run it again."""


def failure_of(sweep: Sweep) -> SimulationFailed:
    """The report of a sweep's failing run."""
    run = sweep.failed
    assert run is not None
    name = run.scenario.name.rpartition(":")[2]
    lines = [
        f"FAILED {name}  seed {run.seed}  ({sweep.passed} passed before, {sweep.seconds:.1f} s)"
    ]
    lines.append(str(run.error))
    lines += [str(h) for h in run.hits]
    failed = SimulationFailed("\n".join(lines))
    failed.__cause__ = run.error
    return failed
