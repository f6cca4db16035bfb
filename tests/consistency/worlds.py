"""Worlds in which clients do anything: judged as they run, and their histories afterwards."""

import asyncio
from typing import Any

import msgspec

from moonlet.projections import MemoryDisk
from moonlet.simulations import Scenario, World, faults
from tests.consistency.anything import AGENTS, Anything
from tests.consistency.history import History
from tests.consistency.linearizable import unlinearizable
from tests.consistency.register import register_type, seen
from tests.projections.simulated import ReplicaNode
from tests.simulations.workshop import small_limits

STEPS = 45
last: list[History] = []
"""The history of the run that ended last in this process."""
steps: dict[str, int] = {}
"""What was done in it, and how often."""


async def anything_goes(world: World) -> None:
    """Three clients and a replica under all faults; in every second seed tokens are exchanged."""
    last.clear()
    dice = world.seed.dice("anything")
    exchanged = bool(dice.below(2))
    node = ReplicaNode(world, "view", MemoryDisk(), seen)
    node.boot()
    with small_limits():
        async with world.client() as one, world.client() as two, world.client() as three:
            clients = (one, two, three)
            for moon in clients:
                for agent_type in world.agents:
                    moon.learn(agent_type)
            run = Anything(dice, clients, exchanged=exchanged, replica=lambda: node.replica)
            last.append(run.history)
            await run.run(STEPS)
            for agent in AGENTS:
                await run.start(agent)
            await world.settle()
            steps.clear()
            steps.update(run.steps)
            await judge(world, run)


async def judge(world: World, run: Anything) -> None:
    """What holds of every run, in the end."""
    states: dict[str, Any] = await world.states("register")
    final = {f"register/{key}": list(state.numbers) for key, state in states.items()}
    for agent, numbers in final.items():
        run.history.end(run.history.begin(agent, 99, "read"), numbers)
    run.sessions.check(final)
    wrong = unlinearizable(run.history.operations)
    assert not wrong, f"no order explains what clients saw of {', '.join(wrong)}"
    await asyncio.sleep(0)


anything = Scenario(
    name=f"{__name__}:anything",
    body=anything_goes,
    agents=(register_type(),),
    faults=faults.all(),
    horizon="8s",
)

calm = msgspec.structs.replace(anything, name=f"{__name__}:calm", faults=faults.none())

# Here owners often don't know yet what their journal shows already.
late = msgspec.structs.replace(
    anything,
    name=f"{__name__}:late",
    faults=faults.only(
        "lose_ack", "drop_reply", "delay_reply", "hold", "pause", "partition_in", "slow_node"
    ),
)
