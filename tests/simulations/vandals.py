"""Worlds whose streams somebody damages: consumers and streams deleted, journals lost, garbage."""

import asyncio
from contextlib import suppress

from moonlet.agents import Client, plan_repair, repair
from moonlet.core.errors import MoonletError, Unavailable, UnknownAgentType
from moonlet.core.ids import AgentId
from moonlet.simulations import Scenario, World, faults
from moonlet.streams import JournalMarks
from tests.agents.accounts import Deposit, Transfer, account_type

ACCOUNT = account_type(partitions=2)
KEYS = tuple(f"account/{key}" for key in "abcd")
PATIENCE = 120
"""Tries of whoever waits for something, half a second or more apart."""

QUEUES = ("mailboxes", "internal", "timers")
MADE_AGAIN = ("snapshots", "KV:leases", "KV:registry", "KV:config", "topics")


async def told(world: World, moon: Client, rounds: int, pause: float = 1.0) -> None:
    """Deposits, and transfers that become sends."""
    dice = world.seed.dice("told")
    for _ in range(rounds):
        for key in KEYS:
            for command in (Deposit(10), Transfer(dice.pick(KEYS), 1)):
                await patiently(moon, key, command)
        await asyncio.sleep(pause)


async def patiently(moon: Client, agent: str, command: object) -> None:
    """Also while the bucket is gone that says where agents are."""
    for _ in range(PATIENCE):
        try:
            await moon.tell(agent, command)
            return
        except UnknownAgentType:
            await asyncio.sleep(1)
    raise AssertionError(f"nobody registers the type of {agent} again")


async def summed(world: World, rounds: int) -> None:
    """All of it is committed, once."""
    await world.settle()
    states = await world.states("account")
    assert sum(state.balance for state in states.values()) == 10 * rounds * len(KEYS)


async def without_consumers(world: World) -> None:
    """Consumers are deleted, again and again, of any queue."""
    dice = world.seed.dice("vandal")
    async with world.client() as moon:
        working = asyncio.ensure_future(told(world, moon, 12))
        while not working.done():
            world.vandal.delete_consumers(dice.pick(QUEUES))
            await asyncio.sleep(dice.between(100, 3_000) / 1_000)
        await working
    await summed(world, 12)


async def without_streams(world: World) -> None:
    """Streams are deleted that hosts make again, and in which nothing stands that must not go."""
    dice = world.seed.dice("vandal")
    async with world.client() as moon:
        working = asyncio.ensure_future(told(world, moon, 12))
        while not working.done():
            world.vandal.delete(dice.pick(MADE_AGAIN))
            await asyncio.sleep(dice.between(500, 8_000) / 1_000)
        await working
    await summed(world, 12)


async def garbled(world: World) -> None:
    """Bytes that are no commit stop their agents; an operator repairs them, and all goes on."""
    dice = world.seed.dice("vandal")
    async with world.client() as moon, world.client() as operator:
        working = asyncio.ensure_future(told(world, moon, 12))
        while not working.done():
            await asyncio.sleep(dice.between(500, 3_000) / 1_000)
            key = dice.pick(KEYS)
            world.vandal.garble(key)
            if dice.below(3) == 0:
                world.crash(dice.pick(sorted(world.hosts)))
            await asyncio.sleep(dice.between(1, 3_000) / 1_000)
            await repaired(operator, key)
            for host in world.hosts:
                world.restart(host)
        await working
    await summed(world, 12)


async def repaired(operator: Client, agent: str) -> None:
    """Until nothing stands in the way of reading it, whoever else writes meanwhile."""
    for _ in range(PATIENCE):
        try:
            plan = await plan_repair(operator.bus, AgentId.parse(agent), ACCOUNT)
            if plan is None:
                await operator.order(agent, "start")
                return
            await repair(operator.bus, plan, by="ann", why="garbage")
        except MoonletError:
            await asyncio.sleep(0.5)
    raise AssertionError(f"{agent} can't be repaired")


async def without_journal(world: World) -> None:
    """The journal is deleted, restored older, and at last as it was: nobody writes in between."""
    journal = world.topology.journal_of("account")
    async with world.client() as moon:
        await told(world, moon, 2)
        await committed(world, 1)
        older = world.vandal.hold(journal)
        await told(world, moon, 2)
        await committed(world, older.last + 1)
        if not await marked(moon, journal, older.last + 1):
            await summed(world, 4)  # who knew how far it goes died within two seconds
            return
        newest = world.vandal.hold(journal)
        before = world.chronicle.commits
        world.vandal.delete(journal)
        for key in KEYS:
            await patiently(moon, key, Deposit(10))
        await asyncio.sleep(10)
        world.vandal.restore(older)
        await asyncio.sleep(10)
        world.crash("h1")
        world.restart("h1")
        await asyncio.sleep(10)
        assert world.chronicle.commits == before, "somebody wrote into a journal that went back"
        world.vandal.restore(newest)
    await summed(world, 5)


async def marked(moon: Client, journal: str, sequence: int) -> bool:
    """Until it is written beside the journal that it goes so far; False if it never is."""
    for _ in range(PATIENCE):
        with suppress(Unavailable):
            mark = await JournalMarks(moon.bus).read(journal)
            if mark is not None and mark.sequence >= sequence:
                return True
        await asyncio.sleep(1)
    return False


async def committed(world: World, sequence: int) -> None:
    """Until the journal goes so far."""
    for _ in range(PATIENCE):
        if world.vandal.hold(world.topology.journal_of("account")).last >= sequence:
            return
        await asyncio.sleep(1)
    raise AssertionError("nothing is committed")


def scenario(body: object) -> Scenario:
    """Under all faults."""
    name = getattr(body, "__name__", "")
    return Scenario(
        name=f"{__name__}:{name}_worlds",
        body=body,  # type: ignore[arg-type]
        agents=(ACCOUNT,),
        faults=faults.all(),
        hosts=2,
        horizon="20s",
    )


without_consumers_worlds = scenario(without_consumers)
without_streams_worlds = scenario(without_streams)
garbled_worlds = scenario(garbled)
without_journal_worlds = scenario(without_journal)
SCENARIOS = (
    without_consumers_worlds,
    without_streams_worlds,
    garbled_worlds,
    without_journal_worlds,
)
