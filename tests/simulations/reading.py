"""A scenario of reading: histories, states and queries, beside commands, where replicas lag.

Limits are so small that a few commits are many: pages, consumers and the leader take turns.
"""

import asyncio

from moonlet.agents import Client
from moonlet.core.errors import Unavailable
from moonlet.simulations import Scenario, World, faults
from moonlet.simulations.seed import Dice
from moonlet.streams.buckets import kv
from moonlet.streams.reading import history_reader, messages
from tests.agents.accounts import Deposit, GetBalance, account_type
from tests.simulations.pressing import Limits, pressed

PRESSED: Limits = (
    (messages, "FIRST_BATCH", 3),
    (messages, "LEADER_BATCH", 2),
    (messages, "STALL", 0.2),
    (history_reader, "PULL_BATCH", 3),
    (kv, "READ_BATCH", 3),
)
"""Limits in this scenario: at their own values a journal would have to be much longer."""

AGENTS = [f"account/a{number}" for number in range(3)]
ROUNDS = 12


async def write_and_read(world: World, moon: Client, dice: Dice) -> None:
    """Deposits of 1, so that a balance is a revision; and what the same client reads of them."""
    seen = dict.fromkeys(AGENTS, 0)
    for _ in range(ROUNDS):
        agent = dice.pick(AGENTS)
        seen[agent] = max(seen[agent], await moon.ask(agent, Deposit(1)))
        if not dice.below(3):
            for host in world.hosts:
                world.forget_agents(host)
        if not dice.below(3):
            world.jetstream.lag(dice.between(50, 1_500) / 1_000)
        if not dice.below(6):
            world.jetstream.old_leader(dice.between(50, 1_000) / 1_000)
        agent = dice.pick(AGENTS)
        match dice.below(3):
            case 0:
                found = len([commit async for commit in moon.history(agent)])
            case 1:
                found = (await moon.state(agent)).balance
            case _:
                found = await moon.query(agent, GetBalance())
        assert found >= seen[agent], f"{agent}: {found} is older than {seen[agent]}, which was seen"
        seen[agent] = found
        await world.advance(dice.between(0, 300) / 1_000)


async def read(world: World) -> None:
    """Whatever lags, nobody reads what is older than he has seen; histories are whole."""
    with pressed(PRESSED):
        async with world.client() as one, world.client() as other:
            await asyncio.gather(
                write_and_read(world, one, world.seed.dice("one")),
                write_and_read(world, other, world.seed.dice("other")),
            )
        await world.settle()
        balances = [state.balance for state in (await world.states("account")).values()]
    assert sum(balances) == 2 * ROUNDS


reading = Scenario(
    name=f"{__name__}:reading",
    body=read,
    agents=(account_type(partitions=2),),
    faults=faults.all(),
    hosts=2,
    horizon="8s",
    replicas=(3,),
)

lagging = Scenario(
    name=f"{__name__}:lagging",
    body=read,
    agents=(account_type(partitions=2),),
    faults=faults.only(
        "lag", "old_leader", "crash", "forget_agents", "drop_reply", "cut", "buggify"
    ),
    hosts=2,
    horizon="8s",
    replicas=(3,),
)
"""The same with fewer kinds of faults, of which one is a lag."""


async def widow(world: World) -> None:
    """All hosts die, their leases run out, and the server finds these again when it is killed.

    Each partition has an owner all the same, within a lease, which is 2 s, and a second.
    """
    async with world.client() as moon:
        await asyncio.gather(*(moon.ask(agent, Deposit(1)) for agent in AGENTS))
        for host in world.hosts:
            world.crash(host)
        await world.advance("4s")
        world.jetstream.stop()
        assert world.jetstream.revive()
        world.jetstream.start()
        for host in world.hosts:
            world.restart(host)
        asked = (moon.ask(agent, Deposit(1), timeout=3.5) for agent in AGENTS)
        assert await asyncio.gather(*asked) == [2] * len(AGENTS)
        await world.advance("4s")


async def lapse(world: World) -> None:
    """A query is answered, or said to be impossible now, though all replicas lag for long."""
    async with world.client() as moon, world.client() as other:
        await moon.ask(AGENTS[0], Deposit(1))
        assert world.jetstream.lag("20s")
        for balance in range(2, 12):
            assert await moon.ask(AGENTS[0], Deposit(1)) == balance
            assert (await moon.state(AGENTS[0])).balance == balance
            for host in world.hosts:
                world.forget_agents(host)
            assert await other.query(AGENTS[0], GetBalance(), timeout=3) == balance
        stream = moon.bus.topology.journal_of("account")
        other.see(stream, 1_000)
        try:
            await Client.state(other, AGENTS[0])
        except Unavailable:
            return
        raise AssertionError("a state older than the token was given")


def owned(world: World) -> dict[str, list[tuple[str, int]]]:
    """What each host owns."""
    hosts = {name: process.host for name, process in world.hosts.items()}
    return {name: host.partitions if host is not None else [] for name, host in hosts.items()}


async def quiet(world: World) -> None:
    """While replicas lag for several leases, no living host is taken for dead."""
    await world.until(lambda: all(owned(world).values()))
    before = owned(world)
    assert world.jetstream.lag("9s")
    for _ in range(40):
        await world.advance("250ms")
        assert owned(world) == before, f"{owned(world)} instead of {before}"
