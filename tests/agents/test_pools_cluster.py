"""Pools on three servers: leaders change while hosts come and go; nothing is lost or doubled."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from moonlet.agents import AgentType, Client, Host, connect
from moonlet.core.errors import MoonletError, Unavailable
from moonlet.streams import ServerRefused, Topology
from moonlet.streams.server.server_process import ServerProcess
from tests.agents.test_pools import Add, Sum, Total, consumers, sums
from tests.simulations.jetstream.cluster import start_cluster

TYPES = ("one", "two", "three")
ROUNDS = 4
AGENTS = 4
EACH = 10


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[list[ServerProcess]]:
    servers = await asyncio.to_thread(start_cluster, tmp_path)
    yield servers
    for server in servers:
        server.kill()


async def step_down(moon: Client) -> int:
    """Have every queue, the journal, and every consumer of the mailboxes find a new leader."""
    topology, js, asked = moon.bus.topology, moon.bus._js, 0
    mailboxes = topology.stream("mailboxes")
    subjects = [
        f"STREAM.LEADER.STEPDOWN.{stream}"
        for stream in (mailboxes, topology.stream("internal"), topology.journal_of("one"))
    ]
    names = await js.consumer_names(mailboxes)
    subjects += [f"CONSUMER.LEADER.STEPDOWN.{mailboxes}.{name}" for name in names]
    for subject in subjects:
        with suppress(MoonletError, ServerRefused, TimeoutError):  # it is electing already
            await js.request(f"$JS.API.{subject}", timeout=2.0)
            asked += 1
    return asked


async def ask_until_answered(moon: Client, agent: str, id: str) -> None:
    """The same command again under its id, however often it takes."""
    for attempt in range(60):
        try:
            await moon.ask(agent, Add(), id=id, timeout=3)
            return
        except MoonletError:
            await moon.bus.backoff(min(attempt, 3))
    raise AssertionError(f"{agent} never answered {id}")


async def started(moon: Client, types: list[AgentType[Sum]]) -> Host:
    """A host, started again where the servers were electing, as a supervisor does it."""
    for attempt in range(20):
        host = Host(moon, types)
        try:
            await host.start()
        except Unavailable:
            await moon.bus.backoff(min(attempt, 3))
        else:
            return host
    raise AssertionError("no host starts")


async def ids_of(moon: Client, agent: str) -> list[str]:
    """The ids of its commands, read again while the servers elect."""
    for attempt in range(20):
        try:
            return [commit.command.id async for commit in moon.history(agent)]
        except Unavailable:
            await moon.bus.backoff(min(attempt, 3))
    raise AssertionError("no history can be read")


@pytest.mark.xdist_group("cluster")
async def test_leaders_that_change_while_hosts_come_and_go_lose_and_double_nothing(
    cluster: list[ServerProcess], name: str
) -> None:
    topology = Topology(prefix=name, replicas=3)
    types = [sums(type_, partitions=2) for type_ in TYPES]
    agents = [f"{type_}/a{number}" for type_ in TYPES for number in range(AGENTS)]
    asked = 0
    async with connect(cluster[0].url, topology=topology, agents=types) as moon, Host(moon, types):
        every = len(await consumers(moon))

        async def work() -> None:
            for number in range(EACH):
                calls = (ask_until_answered(moon, agent, f"{agent}-{number}") for agent in agents)
                await asyncio.gather(*calls)
                await asyncio.sleep(0.2)  # sleeps: so that leaders change in between

        working = asyncio.create_task(work())
        async with connect(cluster[1].url, topology=topology) as second:
            for _ in range(ROUNDS):
                host = await started(second, types)
                asked += await step_down(second)
                await host.stop()
                asked += await step_down(second)
        await working
        for agent in agents:
            assert await moon.query(agent, Total(), timeout=20) == EACH, agent
            history = await ids_of(moon, agent)
            assert len(history) == len(set(history)) == EACH
        assert asked >= 2 * ROUNDS
        assert len(await consumers(moon)) <= 2 * every  # none is left behind of those that left
