"""Deterministic simulation: one seed decides time, order, network, faults.

`@simulate(...)` makes a test of an `async def test(world)`: hosts, clients and agents run unchanged
in a `World` per seed, `faults` hurt them, and the promises are checked.
`Universe` runs ordinary asyncio code on a loop of virtual time, guarded against the real world;
`Node` is a process in it that crashes, pauses and has clocks of its own; `Trace` says what happened
as one digest. `moonlet.simulations.jetstream` is the server of such a world.
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
from moonlet.simulations.loop import SimLoop
from moonlet.simulations.node import EPOCH_NS, Node, current_node
from moonlet.simulations.offline import Wire
from moonlet.simulations.rerun import run_elsewhere, run_twice
from moonlet.simulations.scenario import Run, Scenario
from moonlet.simulations.seed import Dice, Seed, within
from moonlet.simulations.sim_file import SimFile, SimHeader, read_sim, write_sim
from moonlet.simulations.simulate import simulate
from moonlet.simulations.strategies import fault_plans
from moonlet.simulations.sweep import Sweep, sweep
from moonlet.simulations.trace import Checkpoint, Trace
from moonlet.simulations.universe import Universe
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
    "Sweep",
    "Trace",
    "Universe",
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
