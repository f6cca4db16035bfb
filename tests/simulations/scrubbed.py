"""Worlds with snapshots that are not the fold of their commits, and states that have none."""

import msgspec

from moonlet.core.ids import AgentId
from moonlet.simulations import World
from moonlet.streams import Snapshots
from tests.agents.states import CHANGED, Number, Tick, ticking

COUNTING = ticking("count", Number, lambda state, n: Number(state.n + n))
CHANGING = CHANGED["decimal"][0]
KEY = "count/a"


async def forge(world: World) -> None:
    """Somebody writes a snapshot of the agent's last commit, with another state."""
    history = world.chronicle.histories[KEY]
    async with world.client() as moon:
        snapshots = Snapshots(moon.bus)
        known = await snapshots.load(AgentId.parse(KEY))
        assert known is not None and known.digest == history.fold.digest
        wrong = msgspec.structs.replace(known, state=COUNTING.encode_state(Number(1_000_000)))
        landed = snapshots.store(AgentId.parse(KEY), wrong)
        assert landed is not None
        await landed


async def counted(world: World, times: int = 20) -> None:
    """Each agent has its commits, and comes to rest with a snapshot, if it can."""
    async with world.client() as moon:
        for n in range(times):
            await moon.ask(KEY, Tick(1))
            await moon.ask("decimal/a", Tick(n))
    for host in world.hosts:
        world.drain(host)
    await world.advance("15s")


async def forged(world: World) -> None:
    """A snapshot that is forged while nobody runs is found, dropped, and nothing comes of it."""
    await counted(world)
    await forge(world)
    for host in world.hosts:
        world.restart(host)
    await world.until(world.phases.owned)
    async with world.client() as moon:
        await moon.ask(KEY, Tick(1), timeout=30)
        await moon.ask("decimal/a", Tick(1), timeout=30)
        await world.advance("60s")
        assert (await world.states("count"))["a"] == Number(21)
    assert list(world.chronicle.wrong_snapshots()) == []


async def believed(world: World) -> None:
    """The same, and nobody looks a second time before the world ends."""
    await counted(world)
    await forge(world)
