"""A journal that was deleted, made anew or restored older is Corrupt until its loss is accepted."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from moonlet.agents import Client, Host, connect
from moonlet.core.errors import MoonletError, Unknown
from moonlet.streams import JournalMarks, Topology, accept_loss, stream_facts, stream_names
from moonlet.streams.server.server_process import ServerProcess
from tests.agents.accounts import Deposit, GetBalance, account_type
from tests.faulty import until, until_true


@asynccontextmanager
async def hosted(server: ServerProcess, topology: Topology) -> AsyncIterator[tuple[Client, Host]]:
    async with connect(server.url, topology=topology) as moon:
        async with Host(moon, [account_type()], lease=1) as host:
            yield moon, host


async def api(moon: Client, verb: str, body: Any = None) -> None:
    data = json.dumps(body).encode() if body is not None else b""
    answer = await moon.bus.request(f"$JS.API.{verb}", data, timeout=5)
    assert "error" not in json.loads(answer.data), answer.data


async def made_anew(moon: Client, stream: str) -> None:
    """Delete the journal and make an empty one in its place, as a host once did."""
    await api(moon, f"STREAM.DELETE.{stream}")
    await moon.bus._js.create_stream(moon.bus.topology.config_of(stream))


async def restored_older(moon: Client, stream: str, keep: int) -> None:
    """What a restore from a backup leaves: the same stream with its first `keep` messages."""
    last = (await facts(moon, stream)).last
    config = moon.bus.topology.config_of(stream)
    stored = [await moon.bus._js.message(stream, n) for n in range(1, keep + 1)]
    created = (await facts(moon, stream)).created
    assert last > keep and created
    await api(moon, f"STREAM.DELETE.{stream}")
    await moon.bus._js.create_stream(config)
    for message in stored:
        assert message is not None
        headers = {k: v for k, v in (message.headers or {}).items() if k.startswith("Moonlet")}
        await moon.bus.publish(message.subject, message.data, headers=headers, timeout=5)


async def facts(moon: Client, stream: str) -> Any:
    found = await stream_facts(moon.bus, stream)
    assert found is not None
    return found


async def why_not(moon: Client, agent: str) -> str:
    """What an asker is told."""
    with pytest.raises(MoonletError) as caught:
        await moon.ask(agent, Deposit(1), timeout=3)
    return str(caught.value)


@pytest.mark.parametrize("agent", ["account/a", "account/new"])
async def test_a_journal_made_anew_under_a_running_host_takes_no_commit(
    shared_server: ServerProcess, name: str, agent: str
) -> None:
    topology = Topology(prefix=name)
    stream = topology.journal_of("account")
    async with hosted(shared_server, topology) as (moon, _):
        assert await moon.ask("account/a", Deposit(1)) == 1
        await made_anew(moon, stream)
        assert stream in await why_not(moon, agent)
        assert (await facts(moon, stream)).last == 0


async def test_a_journal_made_anew_while_no_host_ran_is_corrupt_until_that_is_accepted(
    shared_server: ServerProcess, name: str
) -> None:
    topology = Topology(prefix=name)
    stream = topology.journal_of("account")
    async with hosted(shared_server, topology) as (moon, _):
        for total in (1, 2, 3):
            assert await moon.ask("account/a", Deposit(1)) == total
    async with connect(shared_server.url, topology=topology) as moon:
        mark = await JournalMarks(moon.bus).read(stream)
        assert mark is not None and mark.sequence == 3
        await made_anew(moon, stream)
    async with hosted(shared_server, topology) as (moon, host):
        assert "a journal is not what it was" in host.services.alarms
        why = await why_not(moon, "account/a")
        assert "accept-loss" in why and "deleted" in why
        assert (await facts(moon, stream)).last == 0
        await accept_loss(moon.bus, stream)
        await until(lambda: stream not in host.services.ends.corrupt, within=20)
        await until_true(lambda: goes_on(moon), within=20)
        [first, *_] = [commit async for commit in moon.history("account/a")]
        assert first.epoch == 1


async def goes_on(moon: Client) -> bool:
    try:
        await moon.query("account/a", GetBalance(), timeout=1)
    except MoonletError:
        return False
    return True


async def test_a_journal_restored_older_is_corrupt_also_after_more_was_written_to_it(
    shared_server: ServerProcess, name: str
) -> None:
    topology = Topology(prefix=name)
    stream = topology.journal_of("account")
    async with hosted(shared_server, topology) as (moon, _):
        for _ in range(4):
            await moon.ask("account/a", Deposit(1))
    async with connect(shared_server.url, topology=topology) as moon:
        await restored_older(moon, stream, keep=2)
    async with hosted(shared_server, topology) as (moon, _):
        assert stream in await why_not(moon, "account/a")
        assert stream in await why_not(moon, "account/new")
        assert (await facts(moon, stream)).last == 2


async def test_without_marks_snapshots_bear_witness_that_a_journal_was_made_anew(
    shared_server: ServerProcess, name: str
) -> None:
    topology = Topology(prefix=name)
    stream = topology.journal_of("account")
    async with hosted(shared_server, topology) as (moon, host):
        for _ in range(20):
            await moon.ask("account/a", Deposit(1))
    async with connect(shared_server.url, topology=topology) as moon:
        assert (await facts(moon, topology.stream("snapshots"))).messages == 1
        await made_anew(moon, stream)
        await api(moon, f"STREAM.DELETE.{topology.bucket('config')}")
    async with hosted(shared_server, topology) as (moon, host):
        assert "a journal is not what it was" in host.services.alarms
        assert stream in await why_not(moon, "account/a")


async def test_a_journal_that_is_gone_when_a_host_starts_is_named_and_not_made(
    shared_server: ServerProcess, name: str
) -> None:
    topology = Topology(prefix=name)
    stream = topology.journal_of("account")
    async with hosted(shared_server, topology) as (moon, _):
        await moon.ask("account/a", Deposit(1))
        await api(moon, f"STREAM.DELETE.{stream}")
    async with hosted(shared_server, topology) as (moon, host):
        assert "a journal is not what it was" in host.services.alarms
        with pytest.raises(Unknown, match=stream):
            await moon.ask("account/a", Deposit(1), timeout=3)
        assert stream not in await stream_names(moon.bus)
        await accept_loss(moon.bus, stream)
        await until_true(lambda: goes_on(moon), within=20)


async def test_marks_of_two_hosts_only_rise(shared_server: ServerProcess, name: str) -> None:
    topology = Topology(prefix=name)
    stream = topology.journal_of("account")
    async with hosted(shared_server, topology) as (moon, one):
        async with hosted(shared_server, topology) as (_, two):
            await asyncio.gather(*(moon.ask(f"account/{n}", Deposit(1)) for n in range(30)))
            for host in (one, two, one, two):
                for _, partition in host._ownership.partitions.items():
                    partition.note_end()
                await host.services.ends.write_marks()
            mark = await JournalMarks(moon.bus).read(stream)
            assert mark is not None and mark.sequence == 30 and mark.digest
