"""Many runs: until one fails, from there to the few faults that it takes, and what was seen.

Everything that runs scenarios is here, `@simulate` too; so it may import all other rooms but the
world's, which scenarios make.
"""

from moonlet.simulations.search.branches import CAN_FORK, run_branches, run_whole
from moonlet.simulations.search.coverage import Coverage
from moonlet.simulations.search.decorator import asked_seeds, simulate
from moonlet.simulations.search.determinism import TWICE_EVERY, check_determinism
from moonlet.simulations.search.exhausting import exhaust, single_faults
from moonlet.simulations.search.report import SimulationFailed, failure_of, first_difference, told
from moonlet.simulations.search.retelling import (
    MARKS,
    happened,
    lines_from,
    otherwise,
    without_last_fault,
)
from moonlet.simulations.search.shrinking import ddmin, shrink
from moonlet.simulations.search.strategies import fault_plans
from moonlet.simulations.search.sweeping import Sweep, sweep
from moonlet.simulations.search.trunk import BranchOutcome

__all__ = [
    "CAN_FORK",
    "MARKS",
    "TWICE_EVERY",
    "BranchOutcome",
    "Coverage",
    "SimulationFailed",
    "Sweep",
    "asked_seeds",
    "check_determinism",
    "ddmin",
    "exhaust",
    "failure_of",
    "fault_plans",
    "first_difference",
    "happened",
    "lines_from",
    "otherwise",
    "run_branches",
    "run_whole",
    "shrink",
    "simulate",
    "single_faults",
    "sweep",
    "told",
    "without_last_fault",
]
