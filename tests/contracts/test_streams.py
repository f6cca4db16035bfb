"""What `streams` builds on the door: the same tests on a real server and on the model."""

import asyncio

import msgspec
import pytest

from moonlet.core.commit import Command, Commit
from moonlet.core.envelope import Envelope
from moonlet.core.errors import (
    Conflict,
    InvalidAgentType,
    InvalidSettings,
    MoonletError,
    PayloadTooLarge,
    UnknownAgentType,
)
from moonlet.core.fold import Fold
from moonlet.core.hlc import Timestamp
from moonlet.core.ids import AgentId
from moonlet.streams import (
    Bucket,
    Bus,
    GroupCommit,
    Home,
    HostLease,
    JetStream,
    Journal,
    Leases,
    Mailboxes,
    Partition,
    Registry,
    ServerRefused,
    SignOfLife,
    Snapshots,
    Timers,
    Topology,
    apply_topology,
    decode_commit,
    decode_envelope,
    encode_commit,
    is_full,
    plan_topology,
    read_messages,
    take_snapshot,
)
from moonlet.streams.journal import storage
from moonlet.streams.journal.group_commit import Record
from tests.faulty import FaultyJetStream, bus_over, until, until_true

A = AgentId.parse("account/a")
B = AgentId.parse("account/b")


@pytest.fixture
async def bus(js: JetStream, name: str) -> Bus:
    """A bus with all streams of a small topology."""
    bus = bus_over(js, Topology(prefix=name, mailbox=5, internal=8))
    await apply_topology(bus)
    return bus


def commit(agent: AgentId, revision: int, text: str = "") -> Commit[msgspec.Raw]:
    body = msgspec.Raw(msgspec.json.encode({"text": text}))
    return Commit(
        agent=str(agent),
        revision=revision,
        outcome="accepted",
        command=Command(id=f"{agent}-{revision}", name="Say", body=body),
        time=Timestamp(revision),
    )


def record(agent: AgentId, revision: int, text: str = "") -> Record:
    return encode_commit(commit(agent, revision, text), "json")[0]


async def append(
    writer: GroupCommit, bus: Bus, agent: AgentId, expected: int, records: list[Record]
) -> list[int]:
    future: asyncio.Future[list[int]] = asyncio.get_running_loop().create_future()

    def done(result: "list[int] | MoonletError") -> None:
        if isinstance(result, MoonletError):
            future.set_exception(result)
        else:
            future.set_result(result)

    writer.append(bus.subjects.journal(agent), expected, records, done)
    return await future


def writer_of(bus: Bus) -> GroupCommit:
    return GroupCommit(bus, bus.topology.journal_of("account"))


# topology


async def test_applying_twice_changes_nothing(bus: Bus) -> None:
    assert await plan_topology(bus, bus.topology) == []
    assert await apply_topology(bus, bus.topology) == []


async def test_a_larger_mailbox_is_an_update_and_foreign_settings_are_refused(bus: Bus) -> None:
    larger = msgspec.structs.replace(bus.topology, mailbox=7)
    assert [step.action for step in await apply_topology(bus, larger)] == ["update"]
    info = await bus._js.stream_info(bus.topology.journal_of("account"))
    assert info is not None
    await bus._js.update_stream({**info["config"], "max_age": 3_600 * 10**9})
    with pytest.raises(InvalidSettings, match="max_age"):
        await apply_topology(bus, larger)


# the journal and its group commit


async def test_the_second_of_two_appends_at_one_sequence_conflicts(bus: Bus) -> None:
    writer = writer_of(bus)
    assert await append(writer, bus, A, 0, [record(A, 1)]) == [1]
    with pytest.raises(Conflict):
        await append(writer, bus, A, 0, [record(A, 1)])
    assert await append(writer, bus, A, 1, [record(A, 2)]) == [2]


async def test_many_waiting_appends_become_batches_and_each_is_told_its_sequence(bus: Bus) -> None:
    writer = writer_of(bus)
    agents = [AgentId.parse(f"account/a{n}") for n in range(100)]
    told = await asyncio.gather(
        *(append(writer, bus, agent, 0, [record(agent, 1)]) for agent in agents)
    )
    assert sorted(sequence for (sequence,) in told) == list(range(1, 101))
    for agent, (sequence,) in zip(agents, told, strict=True):
        last = await Journal(bus, bus.topology.journal_of("account")).last(agent)
        assert last is not None and last.sequence == sequence
        assert decode_commit("", last)[0].agent == str(agent)


@pytest.mark.parametrize(("fast", "appends", "batched"), [(60.0, 50, False), (60.0, 200, True),
                                                       (0.0, 50, True)])  # fmt: skip
async def test_a_batch_begins_with_as_many_commits_as_it_pays_for(
    bus: Bus, monkeypatch: pytest.MonkeyPatch, fast: float, appends: int, batched: bool
) -> None:
    """With fsync twelve, without two hundred; which of them it is, the answers tell."""
    monkeypatch.setattr(storage, "FAST", fast)
    writer = writer_of(bus)
    await append(writer, bus, A, 0, [record(A, 1)])
    agents = [AgentId.parse(f"account/a{n}") for n in range(appends)]
    await asyncio.gather(*(append(writer, bus, agent, 0, [record(agent, 1)]) for agent in agents))
    last = await Journal(bus, bus.topology.journal_of("account")).last(agents[-1])
    assert last is not None and last.headers is not None
    assert ("Nats-Batch-Id" in last.headers) is batched


def test_a_disk_is_taken_for_slow_until_an_answer_was_fast_and_again_when_it_got_slow() -> None:
    disk = storage.Storage()
    assert disk.batch_from == storage.BATCH_FROM
    disk.took(0.002)
    assert disk.batch_from == storage.BATCH_FROM
    disk.took(storage.FAST / 2)
    disk.took(0.002)
    assert disk.batch_from == storage.BATCH_FROM_FAST, "one of them had to wait for the processor"
    for _ in range(100):
        disk.took(0.002)
    assert disk.batch_from == storage.BATCH_FROM


async def test_one_conflict_in_a_batch_fails_its_agent_alone(bus: Bus) -> None:
    writer = writer_of(bus)
    await append(writer, bus, A, 0, [record(A, 1)])
    agents = [AgentId.parse(f"account/a{n}") for n in range(30)]
    results = await asyncio.gather(
        append(writer, bus, A, 99, [record(A, 2)]),
        *(append(writer, bus, agent, 0, [record(agent, 1)]) for agent in agents),
        return_exceptions=True,
    )
    assert isinstance(results[0], Conflict)
    assert sorted(sequence for (sequence,) in results[1:]) == list(range(2, 32))  # type: ignore[misc]


async def test_a_conflict_that_names_nobody_still_fails_its_agent_alone(bus: Bus) -> None:
    """The subject is empty, so the server's `wrong last sequence: 0` leads to no message."""
    writer = writer_of(bus)
    agents = [AgentId.parse(f"account/a{n}") for n in range(20)]
    results = await asyncio.gather(
        append(writer, bus, B, 7, [record(B, 8)]),
        *(append(writer, bus, agent, 0, [record(agent, 1)]) for agent in agents),
        return_exceptions=True,
    )
    assert isinstance(results[0], Conflict)
    assert all(isinstance(result, list) for result in results[1:]), results


async def test_a_chain_lands_whole_or_not_at_all(bus: Bus) -> None:
    writer = writer_of(bus)
    chain = [record(A, revision) for revision in range(1, 6)]
    assert await append(writer, bus, A, 0, chain) == [1, 2, 3, 4, 5]
    with pytest.raises(Conflict):
        await append(writer, bus, A, 3, chain)
    last = await Journal(bus, bus.topology.journal_of("account")).last(A)
    assert last is not None and last.sequence == 5


async def test_an_oversized_record_is_refused_before_it_meets_others(bus: Bus) -> None:
    writer = writer_of(bus)
    huge: Record = (b"x" * (bus.max_payload + 1), {})
    with pytest.raises(PayloadTooLarge):
        await append(writer, bus, A, 0, [huge])
    assert await append(writer, bus, B, 0, [record(B, 1)]) == [1]


async def test_an_append_without_an_answer_is_told_so_and_the_next_one_goes_on(bus: Bus) -> None:
    faults = FaultyJetStream(bus._js)
    writer = GroupCommit(bus_over(faults), bus.topology.journal_of("account"), timeout=0.5)
    faults.publishing = lambda _subject, _data: "lose ack"
    with pytest.raises(MoonletError) as caught:
        await append(writer, bus, A, 0, [record(A, 1)])
    assert not isinstance(caught.value, Conflict)
    faults.publishing = lambda _subject, _data: "pass"
    assert await append(writer, bus, A, 1, [record(A, 2)]) == [2]
    await writer.drain()


async def test_a_long_history_is_read_in_order_from_any_sequence(bus: Bus) -> None:
    writer = writer_of(bus)
    expected = {A: 0, B: 0}
    for start in range(1, 601, 50):
        for agent in (A, B):
            chain = [record(agent, revision) for revision in range(start, start + 50)]
            expected[agent] = (await append(writer, bus, agent, expected[agent], chain))[-1]
    stream = bus.topology.journal_of("account")
    subject = bus.subjects.journal(A)
    for start, first in ((1, 1), (101, 51)):
        read = [
            decode_commit(stream, message)[0].revision
            async for batch in read_messages(bus, stream, subject, start=start)
            for message in batch
        ]
        assert read == list(range(first, 601))


async def test_following_a_history_sees_what_comes_later(bus: Bus) -> None:
    writer = writer_of(bus)
    await append(writer, bus, A, 0, [record(A, 1)])
    seen: list[int] = []
    stream = bus.topology.journal_of("account")

    async def follow() -> None:
        async for batch in read_messages(bus, stream, bus.subjects.journal(A), follow=True):
            seen.extend(message.sequence for message in batch)

    task = asyncio.create_task(follow())
    await until(lambda: seen == [1])
    await append(writer, bus, A, 1, [record(A, 2)])
    await until(lambda: seen == [1, 2])
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


# mailboxes


def box(bus: Bus, agent: AgentId) -> str:
    """An agent's mailbox of the lane that `envelope` takes."""
    return bus.subjects.mailbox(agent, "medium", Home(1))


def envelope(number: int, agent: AgentId = A, lane: str = "medium") -> Envelope:
    return Envelope(
        id=f"c-{number}",
        agent=str(agent),
        name="Say",
        body=msgspec.Raw(b"{}"),
        lane=lane,  # type: ignore[arg-type]
        sender="c",
        number=number,
    )


async def test_a_mailbox_is_bounded_per_agent(bus: Bus) -> None:
    mailboxes = Mailboxes(bus)
    for number in range(1, 6):
        await mailboxes.put(box(bus, A), envelope(number), timeout=5)
    with pytest.raises(ServerRefused) as caught:
        await mailboxes.put(box(bus, A), envelope(6), timeout=5)
    assert is_full(caught.value)
    await mailboxes.put(box(bus, B), envelope(1, B), timeout=5)


# buckets, leases, the registry


async def test_a_key_is_written_by_compare_and_set(bus: Bus) -> None:
    bucket = Bucket(bus, bus.topology.bucket("registry"))
    assert await bucket.get("k") is None
    first = await bucket.put("k", b"1", revision=0)
    with pytest.raises(Conflict):
        await bucket.put("k", b"2", revision=0)
    second = await bucket.put("k", b"2", revision=first)
    entry = await bucket.get("k")
    assert entry is not None and (entry.value, entry.revision) == (b"2", second)
    await bucket.put("l", b"3")
    assert [(e.key, e.value) for e in await bucket.entries()] == [("k", b"2"), ("l", b"3")]
    await bucket.delete("k")
    assert await bucket.get("k") is None


async def test_a_lease_that_is_not_renewed_runs_out(bus: Bus) -> None:
    leases = Leases(bus, 1)
    lease = HostLease("h1", ["account"], 0)
    revision = await leases.renew(lease, 0)
    revision = await leases.renew(lease, revision)
    assert [host.host for host in await leases.hosts()] == ["h1"]
    with pytest.raises(Conflict):
        await leases.renew(lease, revision - 1)

    async def gone() -> bool:
        return await leases.hosts() == []

    started = asyncio.get_running_loop().time()
    await until_true(gone)
    assert 0.5 < asyncio.get_running_loop().time() - started < 2.0
    bucket = Bucket(bus, bus.topology.bucket("leases"))

    async def removed() -> bool:  # a little later than we take it for over
        return await bucket.get("host.h1") is None

    await until_true(removed)
    with pytest.raises(Conflict):
        await leases.renew(lease, revision)


async def test_hosts_hear_that_there_is_something_to_see(bus: Bus) -> None:
    leases = Leases(bus, 1)
    heard: list[SignOfLife | None] = []
    ear = await leases.listen(heard.append)
    leases.tell()
    leases.tell("h1")
    for forged in (b"h1", b"{}", b'{"host":"h1","lease":0}', b'{"host":"h1","lease":1e9}'):
        bus.post(bus.subjects.hosts(), forged)
    bus.post(bus.subjects.hosts(), b'{"host":"h1","lease":1,"more":"' + b"x" * 2_000 + b'"}')
    await until(lambda: len(heard) == 7)
    assert heard == [None, SignOfLife("h1", 1), None, None, None, None, None]
    await ear.unsubscribe()
    leases.tell()
    await bus._js.server_info()  # a round trip: what was told has been carried
    assert len(heard) == 7


async def test_one_of_two_claims_of_a_partition_wins(bus: Bus) -> None:
    leases = Leases(bus, 1)
    free = Partition("account", 0)
    first = await leases.write(msgspec.structs.replace(free, owner="h1"))
    assert first is not None and first.revision > 0
    assert await leases.write(msgspec.structs.replace(free, owner="h2")) is None
    second = await leases.write(msgspec.structs.replace(first, owner="h2"))
    assert second is not None and second.revision > first.revision
    assert (await leases.partitions())["account", 0] == second


def alone(name: str, pool: frozenset[str]) -> bool:
    return False


async def test_a_type_keeps_its_number_of_partitions(bus: Bus) -> None:
    registry = Registry(bus)
    with pytest.raises(UnknownAgentType, match="account"):
        await registry.home("account")
    await registry.register({"account": 4}, alone)
    await Registry(bus).register({"account": 4}, alone)
    with pytest.raises(InvalidAgentType, match="partitions=4"):
        await Registry(bus).register({"account": 8}, alone)
    assert await Registry(bus).types() == {"account": Home(4, "account")}
    await registry.mark_stopped(A, True)
    assert await registry.stopped("account") == {A}
    await registry.mark_stopped(A, False)
    assert await registry.stopped("account") == set()


# timers and snapshots


async def test_a_timer_fires_once_and_a_cancelled_one_does_not(bus: Bus) -> None:
    timers = Timers(bus)
    # By the server's clock: the model has one of its own.
    ack = await bus.publish(bus.subjects.snapshot(B), b"now", timeout=5)
    asked = await bus._js.message(bus.topology.stream("snapshots"), ack.sequence)
    assert asked is not None
    now = asked.time // 1_000
    for name, revision in (("one", 1), ("two", 2)):
        due = msgspec.structs.replace(envelope(revision), timer=name)
        await timers.set(A, due, now + 300_000, Home(1), "json")
        assert await timers.stands(A, name, revision)
    await timers.cancel_all(A, "one")
    assert not await timers.stands(A, "one", 1)
    fire = bus.subjects.fire(A, Home(1))
    stream = bus.topology.stream("timers")

    async def fired() -> bool:
        return await bus._js.last_message(stream, fire) is not None

    await until_true(fired)
    assert await bus._js.stream_subjects(stream, ">") == {fire: 1}
    message = await bus._js.last_message(stream, fire)
    assert message is not None and decode_envelope(message.data, None)[0].timer == "two"


async def test_the_last_snapshot_is_kept_and_rubbish_is_none(bus: Bus) -> None:
    snapshots = Snapshots(bus)
    assert await snapshots.load(A) is None
    for revision in (1, 2):
        fold: Fold[str] = Fold("state")
        fold.revision = revision
        landed = snapshots.store(A, take_snapshot(fold, A, state=b"s", incarnation="i", code="c"))
        assert landed is not None
        await landed
    found = await snapshots.load(A)
    assert found is not None and (found.revision, found.state) == (2, b"s")
    await bus.publish(bus.subjects.snapshot(A), b"rubbish", timeout=5)
    assert await snapshots.load(A) is None
