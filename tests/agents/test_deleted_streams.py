"""Somebody deletes streams or consumers while hosts run, or allows too few of them."""

import pytest

from moonlet.agents import Client, Host, connect
from moonlet.core.errors import Unknown
from moonlet.streams import Topology, stream_names
from moonlet.streams.server.server_process import ServerProcess
from tests.agents.accounts import Deposit, account_type
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


@pytest.mark.parametrize("queue", ["mailboxes", "internal", "timers"])
async def test_a_queue_that_was_deleted_is_made_again_and_hosts_go_on(
    shared_server: ServerProcess, name: str, queue: str
) -> None:
    topology = Topology(prefix=name)
    async with connect(shared_server.url, topology=topology) as moon, Host(moon, [account_type()]):
        await moon.ask("account/a", Deposit(1))
        stream = topology.stream(queue)
        await moon.bus.request(f"$JS.API.STREAM.DELETE.{stream}", timeout=5)
        await until_true(lambda: stands(moon, stream), within=20)
        await until_true(lambda: answered(moon, 1), within=20)
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
