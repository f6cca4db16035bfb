"""What was asked for is stored, and whoever starts goes by it instead of changing it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from moonlet.agents import Host, connect
from moonlet.core.errors import InvalidSettings, Unavailable
from moonlet.streams import (
    NoResponders,
    Topology,
    apply_topology,
    plan_topology,
    replication_of,
    settle_topology,
    standing_topology,
    stored_topology,
)
from moonlet.streams.server.server_process import ServerProcess
from tests.agents.accounts import Deposit, account_type
from tests.faulty import FaultyMoon, bus_over
from tests.simulations.jetstream.cluster import start_cluster
from tests.streams.support import connected


async def config_of(bus: Any, stream: str) -> dict[str, Any]:
    info = await bus._js.stream_info(bus.topology.stream(stream))
    assert info is not None
    return dict(info["config"])


async def test_a_host_that_starts_plainly_changes_nothing_of_what_was_asked_for(
    shared_server: ServerProcess, name: str
) -> None:
    asked = Topology(prefix=name, mailbox=50_000, internal=77)
    async with connect(shared_server.url, topology=asked) as moon, Host(moon, [account_type()]):
        await moon.ask("account/a", Deposit(1))
    plain = Topology(prefix=name)
    async with connect(shared_server.url, topology=plain) as moon, Host(moon, [account_type()]):
        assert moon.bus.topology == asked
        assert await moon.ask("account/a", Deposit(1)) == 2
        assert (await config_of(moon.bus, "mailboxes"))["max_msgs_per_subject"] == 50_000
        assert (await config_of(moon.bus, "internal"))["max_msgs"] == 77


async def test_who_is_told_otherwise_than_what_stands_is_refused_by_name(
    shared_server: ServerProcess, name: str
) -> None:
    async with connected(shared_server) as js:
        asked = Topology(prefix=name, mailbox=50_000)
        await apply_topology(bus_over(js, asked))
        for other, field in (
            (Topology(prefix=name, mailbox=7), "mailbox"),
            (Topology(prefix=name, replicas=3), "replicas"),
            (Topology(journals={"eu": ["account"]}, prefix=name), "journals"),
        ):
            with pytest.raises(InvalidSettings, match=f"{field} is .*moonlet topology apply"):
                await settle_topology(bus_over(js, other))
            with pytest.raises(InvalidSettings, match=field):
                async with connect(shared_server.url, topology=other):
                    pass
        assert await stored_topology(bus_over(js, asked)) == asked


async def test_of_many_first_hosts_one_topology_stands_and_the_others_are_told(
    shared_server: ServerProcess, name: str
) -> None:
    asked = [Topology(prefix=name, mailbox=size) for size in (11, 12, 13, 14)]
    async with connected(shared_server) as js:
        buses = [bus_over(js, topology) for topology in asked]
        done = await asyncio.gather(*map(settle_topology, buses), return_exceptions=True)
        assert sum(not isinstance(outcome, Exception) for outcome in done) == 1
        assert all(isinstance(o, InvalidSettings | list) for o in done)
        standing = await stored_topology(buses[0])
        assert standing in asked
        assert await plan_topology(buses[0], standing) == []


async def test_a_system_older_than_the_record_goes_on_as_it_stands(
    shared_server: ServerProcess, name: str
) -> None:
    """Its streams say what was asked for, and the first host writes that down."""
    old = Topology(prefix=name, mailbox=123, journals={"eu": ["account"], "us": ["other"]})
    async with connected(shared_server) as js:
        for config in old.configs():
            if config["name"] != old.bucket("config"):
                await js.create_stream(config)
        bus = bus_over(js, Topology(prefix=name))
        assert await stored_topology(bus) is None
        assert await standing_topology(bus) == old
        await settle_topology(bus)
        assert bus.topology == await stored_topology(bus) == old


async def test_sizes_change_by_apply_alone_and_twice_is_harmless(
    shared_server: ServerProcess, name: str
) -> None:
    async with connected(shared_server) as js:
        bus = bus_over(js, Topology(prefix=name, mailbox=5))
        await settle_topology(bus)
        wanted = msgspec.structs.replace(bus.topology, mailbox=6)
        for actions in (["update"], []):
            assert [step.action for step in await apply_topology(bus, wanted)] == actions
            assert bus.topology == await stored_topology(bus) == wanted
        await js.update_stream({**await config_of(bus, "mailboxes"), "max_msgs_per_subject": 3})
        [step] = await settle_topology(bus)  # somebody else's change is told, and left alone
        assert step.action == "update" and "max_msgs_per_subject is 3, not 6" in step.differences
        assert (await config_of(bus, "mailboxes"))["max_msgs_per_subject"] == 3


async def test_an_agent_type_with_a_history_does_not_change_its_journal(
    shared_server: ServerProcess, name: str
) -> None:
    asked = Topology(prefix=name)
    async with connect(shared_server.url, topology=asked) as moon, Host(moon, [account_type()]):
        await moon.ask("account/a", Deposit(1))
        bus = moon.bus
        for journals in ({"eu": ["account"]}, {"main": ["other"]}, {"main": ["x"], "eu": ["*"]}):
            with pytest.raises(InvalidSettings):
                wanted = msgspec.structs.replace(asked, journals=journals)
                await apply_topology(bus, wanted)
        assert await stored_topology(bus) == asked
        more = msgspec.structs.replace(asked, journals={"main": ["account"], "eu": ["other"]})
        steps = await apply_topology(bus, more)
        assert {step.action for step in steps} == {"update", "create"}
        assert await moon.ask("account/a", Deposit(1)) == 2


async def test_what_the_server_cannot_do_is_refused_before_anything_changes(
    shared_server: ServerProcess, name: str
) -> None:
    async with connected(shared_server) as js:
        bus = bus_over(js, Topology(prefix=name))
        await settle_topology(bus)
        wanted = msgspec.structs.replace(bus.topology, replicas=3, mailbox=7)
        with pytest.raises(InvalidSettings, match="replicas"):
            await apply_topology(bus, wanted)
        assert await plan_topology(bus, await stored_topology(bus)) == []


@pytest.mark.parametrize(("times", "starts"), [(4, True), (60, False)])
async def test_a_bucket_that_was_just_made_may_have_no_leader_yet(
    shared_server: ServerProcess, name: str, times: int, starts: bool
) -> None:
    left = {"config": times, "registry": times}

    def nobody_yet(subject: str, data: bytes) -> str:
        for bucket in left:
            if f"{name}-{bucket}." in subject and left[bucket]:
                left[bucket] -= 1
                return "nobody"
        return "pass"

    async with FaultyMoon(shared_server.url, name) as (moon, faults):
        faults.publishing = nobody_yet
        host = Host(moon, [account_type()])
        if starts:
            await host.start()
            assert await moon.ask("account/a", Deposit(1)) == 1
            await host.stop()
            assert left == {"config": 0, "registry": 0}
        else:
            with pytest.raises(NoResponders, match="nobody takes it"):
                await host.start()


@pytest.mark.parametrize("wrong", [{"replicas": 0}, {"replicas": 6}, {"mailbox": 0}])
def test_sizes_that_no_server_has_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidSettings, match=next(iter(wrong))):
        Topology(**wrong)


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[list[ServerProcess]]:
    servers = await asyncio.to_thread(start_cluster, tmp_path)
    yield servers
    for server in servers:
        server.kill()


@pytest.mark.xdist_group("cluster")
async def test_three_replicas_stay_three_and_a_dead_server_is_seen(
    cluster: list[ServerProcess], name: str
) -> None:
    one, two, three = cluster
    asked = Topology(prefix=name, replicas=3)
    async with connect(one.url, topology=asked) as moon, Host(moon, [account_type()]):
        await moon.ask("account/a", Deposit(1), timeout=20)
    async with connect(two.url, topology=Topology(prefix=name)) as moon:
        async with Host(moon, [account_type()]):
            assert await moon.ask("account/a", Deposit(1), timeout=20) == 2
        journal = asked.journal_of("account")
        found = await replication_of(moon.bus, journal)
        assert found is not None and found.asked == found.alive == 3
        three.kill()
        async with asyncio.timeout(30):
            while True:
                with contextlib.suppress(Unavailable):  # while the others elect a leader
                    found = await replication_of(moon.bus, journal)
                    if found is not None and found.alive == 2 and found.leader:
                        break
                await moon.bus.backoff(3)
        assert found is not None and found.asked == 3 and found.missing == ("n3",)
