"""A scenario of waking: many agents of one journal leave memory, and are asked for all at once.

Limits are so small that a few are many: they are read in passes, by turns, from what was kept.
"""

import asyncio
from collections.abc import Sequence

from moonlet.agents import Client
from moonlet.agents.recovery import (
    journal_pass,
    journal_walk,
    look,
    pace,
    snapshot_policy,
    tail_reads,
)
from moonlet.agents.services import backlog
from moonlet.core.ids import LANES
from moonlet.simulations import Scenario, World, faults
from moonlet.simulations.seed import Dice
from moonlet.streams.reading import history_reader
from tests.agents.accounts import Deposit, Fill, Transfer, account_type
from tests.simulations.pressing import Limits, pressed

PRESSED: Limits = (
    (tail_reads, "READS", 2),
    (tail_reads, "BESIDE", 1),
    (tail_reads, "WIDE", 6),
    (tail_reads, "WALK_WORTH", 3),
    (tail_reads, "WALK_COST", 2),
    (tail_reads, "PASS_WORTH", 2),
    (tail_reads, "PASS_FIXED", 0),
    (tail_reads, "KEPT_BYTES", 6_000),
    (tail_reads, "OVERHEAD", 0),
    (tail_reads, "SCAN", 3),
    (journal_walk, "IN_FLIGHT", 2),
    (journal_walk, "WALK_BYTES", 12_000),
    (journal_pass, "STALL", 1.0),
    (journal_pass, "PROGRESS", 0.001),
    (look, "FAR", 6),
    (history_reader, "SIEVE_BATCH", 3),
    (pace, "SLICE_COMMITS", 4),
    (backlog, "BACKLOG_BYTES", 4_000),
    (snapshot_policy, "SNAPSHOT_AT_REST", 12),
    (snapshot_policy, "SNAPSHOT_SPAN", 40),
    (snapshot_policy, "UNDER_WAY", 2),
)
"""Limits in this scenario: at their own values a journal would have to be much longer."""

AGENTS = 10
ROUNDS = 4
BURST = 16


async def ask_many(world: World, moon: Client, dice: Dice) -> int:
    """Bursts of commands to whoever it is, between which hosts forget; what was given."""
    names = [f"account/a{number}" for number in range(AGENTS)]
    given = 0
    for _ in range(ROUNDS):
        if dice.below(4):
            for host in world.hosts:
                world.forget_agents(host)
        calls = []
        for _ in range(BURST):
            source, target = dice.sample(names, 2)
            lane = dice.pick(("medium", "medium", "medium", *LANES))
            if dice.below(4):
                amount = dice.between(1, 100)
                given += amount
                calls.append(moon.tell(source, Deposit(amount), lane=lane))
            else:
                calls.append(moon.tell(source, Transfer(target, 1), lane=lane))
        await asyncio.gather(*calls)
        await world.advance(dice.between(0, 400) / 1_000)
    return given


async def wake(world: World) -> None:
    """Whatever is read how, no balance is lost or made."""
    with pressed(PRESSED):
        async with world.client() as one, world.client() as other:
            given = await asyncio.gather(
                ask_many(world, one, world.seed.dice("one")),
                ask_many(world, other, world.seed.dice("other")),
            )
        await world.settle()
        balances = [state.balance for state in (await world.states("account")).values()]
    assert sum(balances) == sum(given)


waking = Scenario(
    name=f"{__name__}:waking",
    body=wake,
    agents=(account_type(partitions=2),),
    faults=faults.all(),
    horizon="6s",
)

sleepless = Scenario(
    name=f"{__name__}:sleepless",
    body=wake,
    agents=(account_type(partitions=2),),
    faults=faults.only(
        "drop_reply", "drop_delivery", "delay_delivery", "cut", "forget_agents", "buggify"
    ),
    hosts=1,
    horizon="6s",
)
"""The same with fewer kinds of faults, and one host that all agents are on."""


# what the scenarios come to rarely: for one host

CROWD = [f"account/a{number}" for number in range(6)]


async def fill(moon: Client, each: int, agents: Sequence[str] = CROWD) -> None:
    """Interleaved deposits of 1, committed and answered."""
    for _ in range(each):
        for agent in agents:
            await moon.ask(agent, Deposit(1))


async def apart(world: World) -> None:
    """One of many has a record that stands apart, which a pass leaves to be read by itself."""
    with pressed(PRESSED):
        async with world.client() as moon:
            await fill(moon, 3)
            big = await moon.tell(CROWD[3], Fill(events=30, size=100_000))
            await big.committed(timeout=30)
            await fill(moon, 2)
            world.forget_agents("h1")
            calls = [moon.ask(agent, Deposit(1)) for agent in CROWD]
            assert await asyncio.gather(*calls) == [6] * len(CROWD)


async def away(world: World) -> None:
    """The connection breaks while one agent is read."""
    with pressed(PRESSED):
        async with world.client() as moon:
            await fill(moon, 8)
            world.forget_agents("h1")
            for number, agent in enumerate(CROWD):
                await moon.tell(agent, Deposit(1))
                await world.advance(f"{1_000 + 700 * number}us")
                world.cut("h1")
                await world.advance("3s")


async def stalled(world: World) -> None:
    """What a pass asks for is lost on its way."""
    with pressed(PRESSED):
        async with world.client() as moon:
            await fill(moon, 4)
            world.forget_agents("h1")
            world.drop("moon-journal-main", times=4)
            calls = [moon.ask(agent, Deposit(1), timeout=30) for agent in CROWD]
            assert await asyncio.gather(*calls) == [5] * len(CROWD)


async def left(world: World) -> None:
    """A host leaves while its snapshots have no answer: it goes without the rest of them."""
    with pressed(PRESSED):
        async with world.client() as moon:
            await fill(moon, 13)
            world.drop("account/a5", times=1)
            world.drop("account/a4", times=1)
            world.drain("h1")
            await world.advance("15s")
            calls = [moon.ask(agent, Deposit(1), timeout=30) for agent in CROWD]
            assert await asyncio.gather(*calls) == [14] * len(CROWD)
