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
from moonlet.simulations.loop.node import EPOCH_NS, Node, current_node
from moonlet.simulations.loop.offline import Wire
from moonlet.simulations.loop.sim_loop import SimLoop
from moonlet.simulations.replay.sim_file import SimFile, SimHeader, read_sim, write_sim
from moonlet.simulations.run.rerun import run_elsewhere, run_twice
from moonlet.simulations.run.simulation_run import Universe
from moonlet.simulations.scenario.scenario import Run, Scenario
from moonlet.simulations.search.simulate import simulate
from moonlet.simulations.search.strategies import fault_plans
from moonlet.simulations.search.sweep import Sweep, sweep
from moonlet.simulations.seed import Dice, Seed, within
from moonlet.simulations.trace import Checkpoint, Trace
from moonlet.simulations.violations import NotReached, Violation
from moonlet.simulations.world.world import World

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
