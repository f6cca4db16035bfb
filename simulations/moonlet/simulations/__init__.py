"""Deterministic simulation: one seed decides time, order, network, faults.

`@simulate(...)` makes a test of an `async def test(world)`: hosts, clients and agents run unchanged
in a `World` per seed, `faults` hurt them, and the promises are checked.
`SimulationRun` runs ordinary asyncio code on a loop of virtual time, guarded against the real
world; `Node` is a process in it that crashes, pauses and has clocks of its own; `Trace` says what
happened as one digest. `moonlet.simulations.jetstream` is the server of such a world.

The rooms, each importing only from those after it: `search`, `replay`, then `scenario`, `world`,
`workload`, `checkers`, `chronicle`, `process`, `network`, `bundle`, `jetstream`, `faults`, `run`,
`guard`, `loop`. What all of them stand on is beside them: `seed`, `trace`, `errors`, `violations`,
`durations`.
"""

from moonlet.simulations import faults
from moonlet.simulations.errors import (
    Deadlock,
    Diverged,
    Escape,
    Livelock,
    SilentDeath,
    SimulationError,
)
from moonlet.simulations.loop import EPOCH_NS, Node, SimLoop, Wire, current_node
from moonlet.simulations.replay import SimFile, SimHeader, read_sim, write_sim
from moonlet.simulations.run import SimulationRun, run_elsewhere, run_twice
from moonlet.simulations.scenario import Run, Scenario
from moonlet.simulations.search import Sweep, fault_plans, simulate, sweep
from moonlet.simulations.seed import Dice, Seed, within
from moonlet.simulations.trace import Checkpoint, Trace
from moonlet.simulations.violations import NotReached, Violation
from moonlet.simulations.world import World

__all__ = [
    "EPOCH_NS",
    "Checkpoint",
    "Deadlock",
    "Dice",
    "Diverged",
    "Escape",
    "Livelock",
    "Node",
    "NotReached",
    "Run",
    "Scenario",
    "Seed",
    "SilentDeath",
    "SimFile",
    "SimHeader",
    "SimLoop",
    "SimulationError",
    "SimulationRun",
    "Sweep",
    "Trace",
    "Violation",
    "Wire",
    "World",
    "current_node",
    "fault_plans",
    "faults",
    "read_sim",
    "run_elsewhere",
    "run_twice",
    "simulate",
    "sweep",
    "within",
    "write_sim",
]
