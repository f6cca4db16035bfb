"""Small scenarios for the tests of the command: fine ones, and one that is not."""

import asyncio

import msgspec

from moonlet.agents import AgentType, Decision
from moonlet.core.marks import reached
from moonlet.simulations import faults
from moonlet.simulations.scenario import Scenario
from moonlet.simulations.world import World


class Add(msgspec.Struct, frozen=True):
    """Add one."""


class Added(msgspec.Struct, frozen=True):
    """One was added."""


class Count(msgspec.Struct, frozen=True):
    """How many."""

    count: int = 0


counter = AgentType("counter", Count, partitions=1)


@counter.on_command
def add(state: Count, command: Add) -> Decision:
    """Always."""
    yield Added()


@counter.on_event
def added(state: Count, event: Added) -> Count:
    """One more."""
    return Count(state.count + 1)


async def count(world: World) -> None:
    """Three are added."""
    async with world.client() as moon:
        for _ in range(3):
            await moon.tell("counter/a", Add())
    await world.settle()
    assert (await world.states("counter"))["a"].count == 3


async def noting(world: World) -> None:
    """As `count`, and marks what it came to."""
    await count(world)
    counted = (await world.states("counter"))["a"].count
    if counted == 3:
        reached("three are counted")
    else:
        reached("more than three are asked for")


async def impatient(world: World) -> None:
    """Claims that what was told half a second ago is committed, which a crash makes wrong."""
    async with world.client() as moon:
        await moon.tell("counter/a", Add())
        await world.advance("500ms")
        committed = await world.states("counter")
    assert "a" in committed, "not committed in time"


fine = Scenario(
    name=f"{__name__}:fine", body=count, agents=(counter,), faults=faults.none(), hosts=1
)


async def another_day(world: World) -> None:
    """Goes on with what a server held: three are there already, and one waits."""
    async with world.client() as moon:
        await moon.tell("counter/a", Add())
    await world.settle()
    counts = {key: state.count for key, state in (await world.states("counter")).items()}
    assert counts == {"a": 4, "b": 1}


continued = Scenario(
    name=f"{__name__}:continued",
    body=another_day,
    agents=(counter,),
    faults=faults.all(),
    history="bank.bundle",
)
marked = Scenario(
    name=f"{__name__}:marked", body=noting, agents=(counter,), faults=faults.none(), hosts=1
)
hasty = Scenario(
    name=f"{__name__}:hasty",
    body=impatient,
    agents=(counter,),
    faults=faults.only("crash", "drop_delivery"),
    hosts=1,
    horizon="100ms",
)


async def racing(world: World) -> None:
    """Claims that who sends first is committed first, which only the latencies decide."""
    async with world.client() as one, world.client() as other:
        clients = {"first": one, "second": other}
        await asyncio.gather(*(m.tell("counter/a", Add(), id=id) for id, m in clients.items()))
    await world.settle()
    assert world.chronicle.histories["counter/a"].commits[0].command.id == "first", "overtaken"


race = Scenario(
    name=f"{__name__}:race", body=racing, agents=(counter,), faults=faults.none(), hosts=1
)


async def bounded(world: World) -> None:
    """Promises that nobody counts to three."""
    world.always("fewer than three", lambda states: states["counter/a"].count < 3)
    await count(world)


promised = Scenario(
    name=f"{__name__}:promised", body=bounded, agents=(counter,), faults=faults.none(), hosts=1
)
