"""Somebody deletes streams or consumers while hosts run, or allows too few of them."""

import pytest

from moonlet.agents import Client, Host, connect
from moonlet.core.errors import MoonletError, Unknown
from moonlet.core.ids import AgentId
from moonlet.streams import JournalMarks, StreamGone, Topology, stored_topology, stream_names
from moonlet.streams.server.server_process import ServerProcess
from tests.agents.accounts import Deposit, GetBalance, account_type
from tests.faulty import until, until_true


async def answered(moon: Client, amount: int) -> bool:
    """Whether the agent decides again."""
    try:
        await moon.ask("account/a", Deposit(amount), timeout=1)
    except Unknown:
        return False
    return True


async def stands(moon: Client, stream: str) -> bool:
    """Whether there is such a stream."""
    return stream in await stream_names(moon.bus)


OTHERS = ("snapshots", "parked", "topics", "outcomes", "leases", "registry", "config")


@pytest.mark.parametrize("queue", ["mailboxes", "internal", "timers", *OTHERS])
async def test_a_stream_that_was_deleted_is_made_again_and_hosts_go_on(
    shared_server: ServerProcess, name: str, queue: str
) -> None:
    topology = Topology(prefix=name, mailbox=77)
    bucket = queue in ("leases", "registry", "config")
    stream = topology.bucket(queue) if bucket else topology.stream(queue)
    async with connect(shared_server.url, topology=topology) as moon:
        async with Host(moon, [account_type()], lease=2) as host:
            await moon.ask("account/a", Deposit(1))
            await moon.bus.request(f"$JS.API.STREAM.DELETE.{stream}", timeout=5)
            await until_true(lambda: stands(moon, stream), within=20)
            await until_true(lambda: answered(moon, 1), within=20)
            # whoever misses a bucket first makes it again, and the watch comes by within seconds
            await until(lambda: "a stream was deleted, and is made again" in host.services.alarms)
            await until_true(lambda: known_to_a_newcomer(shared_server, topology), within=20)
            assert await stored_topology(moon.bus) == topology
            await until_true(lambda: marked(moon, topology.journal_of("account")), within=20)


async def known_to_a_newcomer(server: ServerProcess, topology: Topology) -> bool:
    """Whether a client that connects now reaches the agent."""
    async with connect(server.url, topology=topology) as moon:
        try:
            await moon.query("account/a", GetBalance(), timeout=1)
        except MoonletError:
            return False
    return True


async def marked(moon: Client, stream: str) -> bool:
    """Whether the journal's high-water mark stands."""
    return await JournalMarks(moon.bus).read(stream) is not None


async def test_after_the_leases_were_deleted_a_host_that_starts_over_gets_its_partitions(
    shared_server: ServerProcess, name: str
) -> None:
    """Records count from 1 again, and consumers of larger numbers must not stand in the way."""
    topology = Topology(prefix=name)
    async with connect(shared_server.url, topology=topology) as moon:
        leases = topology.bucket("leases")
        async with Host(moon, [account_type()], lease=1):
            await moon.ask("account/a", Deposit(1))
        for _ in range(1_000):  # as a week's renewals: the new numbers won't come near these soon
            await moon.bus.publish(f"$KV.{name}-leases.x", b"{}", headers=None, timeout=5)
        async with Host(moon, [account_type()], lease=1) as host:
            await moon.ask("account/a", Deposit(1))
            await moon.bus.request(f"$JS.API.STREAM.DELETE.{leases}", timeout=5)
            await until(lambda: "a stream was deleted, and is made again" in host.services.alarms)
            async with Host(moon, [account_type()], lease=1):
                await until_true(lambda: answered(moon, 1), within=20)
            await until_true(lambda: answered(moon, 1), within=20)


async def test_a_stopped_agent_stays_stopped_when_the_registry_was_deleted(
    shared_server: ServerProcess, name: str
) -> None:
    topology = Topology(prefix=name)
    async with connect(shared_server.url, topology=topology) as moon:
        async with Host(moon, [account_type()], lease=1):
            await moon.order("account/a", "stop")
            stream = topology.bucket("registry")
            await moon.bus.request(f"$JS.API.STREAM.DELETE.{stream}", timeout=5)
            await until_true(lambda: is_stopped(moon), within=20)


async def is_stopped(moon: Client) -> bool:
    """Whether the mark stands in the registry."""
    try:
        return AgentId.parse("account/a") in await moon.registry.stopped()
    except StreamGone:
        return False


@pytest.mark.parametrize("queue", ["mailboxes", "internal", "timers"])
async def test_a_queue_whose_consumers_were_deleted_is_served_again(
    shared_server: ServerProcess, name: str, queue: str
) -> None:
    topology = Topology(prefix=name)
    async with connect(shared_server.url, topology=topology) as moon, Host(moon, [account_type()]):
        await moon.ask("account/a", Deposit(1))
        stream = topology.stream(queue)
        for consumer in await moon.bus._js.consumer_names(stream):
            await moon.bus._js.delete_consumer(stream, consumer)
        await until_true(lambda: answered(moon, 1), within=20)


async def test_a_journal_that_was_deleted_is_named_and_not_made_again(
    shared_server: ServerProcess, name: str
) -> None:
    """An empty one would pass for the whole history."""
    topology = Topology(prefix=name)
    async with connect(shared_server.url, topology=topology) as moon, Host(moon, [account_type()]):
        await moon.ask("account/a", Deposit(1))
        stream = topology.journal_of("account")
        await moon.bus.request(f"$JS.API.STREAM.DELETE.{stream}", timeout=5)
        with pytest.raises(Unknown, match=stream) as caught:
            await moon.ask("account/a", Deposit(1), timeout=3)
        assert caught.value.stored == "yes"
        assert not await stands(moon, stream)


async def test_a_server_that_takes_no_more_consumers_is_an_alarm_that_says_so(
    shared_server: ServerProcess, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    topology = Topology(prefix=name)
    async with connect(shared_server.url, topology=topology) as moon:
        (config,) = [c for c in topology.configs() if c["name"] == topology.stream("mailboxes")]
        await moon.bus._js.create_stream({**config, "max_consumers": 3})
        async with Host(moon, [account_type()]) as host:
            await until(lambda: "owned partitions can't be fed" in host.services.alarms)
            with pytest.raises(Unknown):
                await moon.ask("account/a", Deposit(1), timeout=1)
    said = capsys.readouterr().err
    assert "maximum consumers" in said and "raise the limit" in said
