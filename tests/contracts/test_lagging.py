"""Reads that claim to be complete, where a replica lags: they get there, or say that they can't."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from moonlet.core.digest import DIGEST_HEADER, record_digest
from moonlet.core.errors import Conflict, Corrupt, Unavailable
from moonlet.core.ids import AgentId
from moonlet.simulations.jetstream import MemoryJetStream, MemoryServer
from moonlet.simulations.jetstream.wire import serve
from moonlet.streams import (
    Bucket,
    Bus,
    HostLease,
    JetStream,
    Leases,
    Registry,
    StreamGone,
    Topology,
    apply_topology,
    count_up_to,
    read_messages,
    store_apart,
    with_record,
)
from moonlet.streams.api import StoredMessage
from moonlet.streams.nats import connection
from moonlet.streams.reading.messages import find_end
from moonlet.streams.server.server_process import ServerProcess
from moonlet.streams.settings import from_url
from tests.contracts.conftest import kind_of
from tests.contracts.consumer_support import put
from tests.faulty import FaultyJetStream, bus_over, until_true
from tests.lagging import LaggingJetStream


class ThreeServers(FaultyJetStream):
    """A connection to three simulated servers, whose replicas lag when they are told to."""

    def __init__(self, inner: JetStream, server: MemoryServer) -> None:
        super().__init__(inner)
        self._server = server

    async def lag(self, stream: str) -> None:
        """From now on replicas get nothing new."""
        assert self._server.lag()


class Cluster(FaultyJetStream):
    """A connection to three real servers, whose replicas lag as they do."""

    async def lag(self, stream: str) -> None:
        """They do it by themselves: a write is acknowledged by two of three."""


Lagging = LaggingJetStream | ThreeServers | Cluster


@pytest.fixture
async def js(request: pytest.FixtureRequest) -> AsyncIterator[Lagging]:
    kind = kind_of(request)
    if kind in ("model", "wire"):
        server = MemoryServer(servers=3)
        if kind == "wire":
            serve(server)
            inner: JetStream = await connection.open(from_url("nats://nats:4222", "the tests' own"))
        else:
            inner = await MemoryJetStream.connect(server)
        yield ThreeServers(inner, server)
    elif kind == "cluster":
        servers: list[ServerProcess] = request.getfixturevalue("shared_cluster")
        inner = await connection.open(from_url(servers[1].url, "the tests' own"))
        yield Cluster(inner)
    else:
        shared: ServerProcess = request.getfixturevalue("shared_server")
        inner = await connection.open(from_url(shared.url, "the tests' own"))
        yield LaggingJetStream(inner)
    await inner.close()


@pytest.fixture
async def bus(js: Lagging, name: str) -> Bus:
    """A bus with all streams of a topology, and a stream as a journal is, `<name>J`."""
    replicas = 1 if isinstance(js, LaggingJetStream) else 3
    journal = {"name": f"{name}J", "subjects": [f"{name}.his.>"], "allow_direct": True}
    await js.create_stream({**journal, "num_replicas": replicas})
    bus = bus_over(js, Topology(prefix=name, replicas=replicas))
    await apply_topology(bus)
    return bus


async def sequences(bus: Bus, name: str, subject: str, **more: Any) -> list[int]:
    return [
        message.sequence
        async for batch in read_messages(bus, f"{name}J", f"{name}.{subject}", **more)
        for message in batch
    ]


@pytest.mark.parametrize(
    ("before", "after"), [(0, 3), (5, 1), (5, 70), (300, 5), (300, 70)], ids=str
)
async def test_a_history_is_whole_though_a_replica_lags(
    bus: Bus, js: Lagging, name: str, before: int, after: int
) -> None:
    await put(bus, name, before, subject="his.a")
    await js.lag(f"{name}J")
    await put(bus, name, after, subject="his.a", first=before + 1)
    assert await sequences(bus, name, "his.a") == list(range(1, before + after + 1))
    assert not isinstance(js, LaggingJetStream) or js.late
    assert await sequences(bus, name, "his.a", start=before + 1) == list(
        range(before + 1, before + after + 1)
    )


async def test_a_wide_history_is_whole_though_a_replica_lags(
    bus: Bus, js: Lagging, name: str
) -> None:
    await put(bus, name, 4, subject="his.a")
    await js.lag(f"{name}J")
    for number in range(5, 25):
        await put(bus, name, 1, subject=f"his.{'ab'[number % 2]}", first=number)
    messages = read_messages(bus, f"{name}J", f"{name}.his.a", wide=True)
    found = [message.sequence async for batch in messages for message in batch]
    assert found == [1, 2, 3, 4, *range(6, 25, 2)]


async def test_a_histories_end_is_no_older_than_what_was_seen(bus: Bus, name: str) -> None:
    await put(bus, name, 3, subject="his.a")
    await put(bus, name, 1, subject="his.b", first=4)
    assert await find_end(bus, f"{name}J", f"{name}.his.a") == 3
    assert await sequences(bus, name, "his.a", at_least=4) == [1, 2, 3]
    assert await count_up_to(bus, f"{name}J", f"{name}.his.a", 4) == (3, 4)
    assert await count_up_to(bus, f"{name}J", f"{name}.his.none", 4) == (0, 4)
    assert await find_end(bus, f"{name}J", f"{name}.his.none") == 0
    with pytest.raises(Unavailable, match="ends at 4, but 5 was seen of it"):
        await sequences(bus, name, "his.a", at_least=5)
    with pytest.raises(StreamGone):
        await find_end(bus, f"{name}none", "none")


async def test_a_bucket_is_as_its_leader_has_it(bus: Bus, js: Lagging) -> None:
    name = bus.topology.bucket("registry")
    bucket = Bucket(bus, name)
    for key in ("a.1", "a.2", "a.3", "b.1"):
        await bucket.put(key, b"old")
    await js.lag(name)
    await bucket.put("a.2", b"new")
    await bucket.put("a.4", b"new")
    await bucket.delete("a.3")
    found = {entry.key: entry.value for entry in await bucket.entries("a.*")}
    assert found == {"a.1": b"old", "a.2": b"new", "a.4": b"new"}
    assert [entry.key for entry in await bucket.entries()] == ["a.1", "a.2", "a.4", "b.1"]
    with pytest.raises(StreamGone):
        await Bucket(bus, "KV_none").entries()


async def test_marks_of_stopped_agents_are_as_the_leader_has_them(bus: Bus, js: Lagging) -> None:
    registry, a, b = Registry(bus), AgentId("account", "a"), AgentId("account", "b")
    await registry.mark_stopped(a, True)
    await js.lag(bus.topology.bucket("registry"))
    await registry.mark_stopped(a, False)
    await registry.mark_stopped(b, True)
    assert await registry.stopped("account") == {b}


async def test_hosts_and_partitions_are_as_the_leader_has_them(bus: Bus, js: Lagging) -> None:
    leases = Leases(bus, 5)
    await leases.renew(HostLease("h1", ["account"], 0), 0)
    await leases.renew(HostLease("h2", ["account"], 0), 0)
    await js.lag(bus.topology.bucket("leases"))
    await leases.leave("h1")
    await leases.renew(HostLease("h3", ["account"], 0), 0)
    assert [host.host for host in (await leases.look())[0]] == ["h2", "h3"]


async def test_what_stands_apart_is_not_gone_because_an_old_leader_lacks_it(
    bus: Bus, js: Lagging
) -> None:
    payload = b"outcome" * 100
    kept, headers = await store_apart(bus, record_digest(payload), payload)
    headers[DIGEST_HEADER] = record_digest(payload)
    message = StoredMessage("j.a", 7, 0, headers, kept)
    misses: list[str] = []

    async def last_message(stream: str, subject: str, **more: Any) -> StoredMessage | None:
        if len(misses) < 2:
            misses.append(subject)
            return None
        found: StoredMessage | None = await js.inner.last_message(stream, subject, **more)
        return found

    js.__dict__["last_message"] = last_message
    if isinstance(js, LaggingJetStream):  # a single server knows
        with pytest.raises(Corrupt, match="is gone"):
            await with_record(bus, "J", message)
    else:
        assert (await with_record(bus, "J", message)).data == payload


async def test_a_lease_that_stands_though_it_ran_out_is_no_sign_of_life(bus: Bus) -> None:
    """A server revived it, and will never end it (its log: "TTL state is outdated")."""
    leases, other = Leases(bus, 1), Leases(bus, 1)
    bucket = Bucket(bus, bus.topology.bucket("leases"))
    revision = await bucket.put("host.h1", b'{"host":"h1","types":[],"started":0}', revision=0)
    living = HostLease("h2", [], 0)

    async def renew(revision: int) -> None:
        while True:
            revision = await leases.renew(living, revision)
            await asyncio.sleep(0.05)  # sleeps: the pace of renewals

    async def looks(leases: Leases) -> list[str]:
        return [host.host for host in (await leases.look())[0]]

    async def alone() -> bool:
        return await looks(leases) == ["h2"]

    async def ended() -> bool:
        await leases.look()
        return await leases.end_overdue() == ["h1"]

    renewing = asyncio.create_task(renew(await leases.renew(living, 0)))
    assert await looks(leases) == ["h1", "h2"]  # for its time
    started = bus.clock.monotonic()
    await until_true(alone, within=600)  # of a clock that may be virtual
    assert 0.9 < bus.clock.monotonic() - started < 4.0
    assert await bucket.get("host.h1") is not None  # it stands there
    await asyncio.sleep(0.2)  # sleeps: it ran out by the server's clock too, if that is behind
    assert [host.host for host in await other.hosts()] == ["h2"]  # who looks once watches it
    await until_true(ended, within=600)
    assert await bucket.get("host.h1") is None
    renewing.cancel()
    await asyncio.gather(renewing, return_exceptions=True)
    with pytest.raises(Conflict):  # whoever it was starts over
        await leases.renew(HostLease("h1", [], 0), revision)
