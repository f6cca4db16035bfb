"""The contract of `JetStream`: reading streams, administration."""

import asyncio

import pytest

from moonlet.streams.api import JetStream, NoResponders, ServerRefused, StoredMessage
from tests.contracts.jetstream_support import SECOND, journal, mailboxes, publish


async def test_the_last_message_of_a_subject_or_none(js: JetStream, name: str) -> None:
    await journal(js, name)
    assert await js.last_message(name, f"{name}.evt.a") is None
    await publish(js, f"{name}.evt.a", b"1", K="v")
    await publish(js, f"{name}.evt.a", b"2")
    await publish(js, f"{name}.evt.b", b"3")
    last = await js.last_message(name, f"{name}.evt.a")
    assert last is not None
    assert (last.subject, last.sequence, last.data) == (f"{name}.evt.a", 2, b"2")
    assert last.headers is None


async def test_a_message_by_sequence_or_none(js: JetStream, name: str) -> None:
    await journal(js, name)
    await publish(js, f"{name}.evt.a", b"\x00\xff", K="v")
    message = await js.message(name, 1)
    assert message is not None
    assert (message.data, dict(message.headers or {})) == (b"\x00\xff", {"K": "v"})
    assert await js.message(name, 2) is None


async def test_the_next_message_of_a_subject_is_found_behind_holes(
    js: JetStream, name: str
) -> None:
    await mailboxes(js, name, allow_direct=False)
    for key in "abcb":
        await publish(js, f"{name}.cmd.{key}", key.encode())
    await js.purge_stream(name, f"{name}.cmd.a")

    async def found(subject: str, start: int) -> int | None:
        message = await js.next_message(name, subject, start=start)
        return None if message is None else message.sequence

    assert [await found(f"{name}.cmd.>", start) for start in (1, 3, 4, 5)] == [2, 3, 4, None]
    assert [await found(f"{name}.cmd.b", start) for start in (1, 3)] == [2, 4]
    assert await found(f"{name}.cmd.a", 1) is None
    assert (await js.next_message(name, ">", start=1)) == await js.message(name, 2)


async def test_reading_from_no_stream_is_refused(js: JetStream, name: str) -> None:
    with pytest.raises(ServerRefused) as refusal:
        await js.message(name, 1)
    assert (refusal.value.code, refusal.value.err_code) == (404, 10059)
    with pytest.raises(ServerRefused):
        await js.last_message(name, f"{name}.evt.a")


async def test_a_subject_is_read_page_by_page(js: JetStream, name: str) -> None:
    await journal(js, name)
    for i in range(1, 26):
        await publish(js, f"{name}.evt.a", b"a%d" % i, N=str(i))
        await publish(js, f"{name}.evt.b", b"b%d" % i)
    found: list[StoredMessage] = []
    left: list[int] = []
    start = 1
    while True:
        page, more = await js.read_batch(name, f"{name}.evt.a", start=start, batch=10)
        found += page
        left.append(more)
        if not more:
            break
        start = page[-1].sequence + 1
    assert left == [15, 5, 0]
    assert [m.data for m in found] == [b"a%d" % i for i in range(1, 26)]
    assert [m.sequence for m in found] == list(range(1, 50, 2))
    assert all(m.subject == f"{name}.evt.a" for m in found)
    assert dict(found[6].headers or {}) == {"N": "7"}
    same = await js.message(name, 13)
    assert same == found[6]
    assert await js.replica_message(name, 13) == same


async def test_one_message_is_read_from_any_replica(js: JetStream, name: str) -> None:
    await journal(js, name)
    await publish(js, f"{name}.evt.a", b"one")
    found = await js.replica_message(name, 1)
    assert found is not None and found == await js.message(name, 1)
    assert (found.data, found.headers) == (b"one", None)
    assert await js.replica_message(name, 2) is None


async def test_a_page_may_span_subjects(js: JetStream, name: str) -> None:
    await journal(js, name)
    for subject in ("a.1", "b.1", "a.2", "a.1"):
        await publish(js, f"{name}.evt.{subject}")
    page, more = await js.read_batch(name, f"{name}.evt.a.*", start=2, batch=100)
    assert [(m.sequence, m.subject) for m in page] == [
        (3, f"{name}.evt.a.2"),
        (4, f"{name}.evt.a.1"),
    ]
    assert more == 0
    assert page[0].headers is None


async def test_there_may_be_nothing_to_read(js: JetStream, name: str) -> None:
    await journal(js, name)
    assert await js.read_batch(name, f"{name}.evt.a", start=1, batch=10) == ([], 0)
    await publish(js, f"{name}.evt.b")
    assert await js.read_batch(name, f"{name}.evt.a", start=1, batch=10) == ([], 0)
    assert await js.read_batch(name, f"{name}.evt.b", start=2, batch=10) == ([], 0)


async def test_reading_may_start_at_a_time(js: JetStream, name: str) -> None:
    await journal(js, name)
    for _ in range(3):
        await publish(js, f"{name}.evt.a")
        await asyncio.sleep(0.001)  # in a run, time only passes while somebody waits
    second = await js.message(name, 2)
    assert second is not None
    page, more = await js.read_batch(
        name, f"{name}.evt.a", start=1, batch=10, start_time=second.time
    )
    assert [m.sequence for m in page] == [2, 3]
    assert page[0].time == second.time
    late, more = await js.read_batch(
        name, f"{name}.evt.a", start=1, batch=10, start_time=second.time + 3600 * SECOND
    )
    assert (late, more) == ([], 0)


async def test_large_pages_arrive_whole(js: JetStream, name: str) -> None:
    await journal(js, name)
    futures = [js.publish(f"{name}.evt.a", b"x" * 20_000, timeout=10) for _ in range(300)]
    for future in futures:
        await future
    page, more = await js.read_batch(name, f"{name}.evt.a", start=1, batch=256)
    assert [m.sequence for m in page] == list(range(1, 257))
    assert more == 44


async def test_pages_are_only_read_where_direct_reads_are_allowed(js: JetStream, name: str) -> None:
    await journal(js, name, allow_direct=False)
    with pytest.raises(NoResponders):
        await js.read_batch(name, f"{name}.evt.a", start=1, batch=10)
    with pytest.raises(NoResponders):
        await js.replica_message(name, 1)


async def test_a_stream_is_created_once(js: JetStream, name: str) -> None:
    assert await js.stream_info(name) is None
    assert name not in await js.stream_names()
    created = await journal(js, name)
    assert created["config"]["name"] == name
    assert created["config"]["deny_purge"] is True
    again = await journal(js, name)
    assert again["config"] == created["config"]
    assert again["created"] == created["created"]
    with pytest.raises(ServerRefused) as refusal:
        await journal(js, name, max_msgs=7)
    assert (refusal.value.code, refusal.value.err_code) == (400, 10058)
    names = await js.stream_names()
    assert name in names
    assert names == sorted(names)


async def test_the_state_of_a_stream_counts_its_messages(js: JetStream, name: str) -> None:
    await journal(js, name)
    for _ in range(3):
        await publish(js, f"{name}.evt.a")
    info = await js.stream_info(name)
    assert info is not None
    assert info["config"]["subjects"] == [f"{name}.evt.>"]
    state = info["state"]
    assert (state["messages"], state["first_seq"], state["last_seq"]) == (3, 1, 3)
    assert state["bytes"] > 0


async def test_streams_may_not_share_subjects(js: JetStream, name: str) -> None:
    await journal(js, name)
    with pytest.raises(ServerRefused) as refusal:
        await js.create_stream({"name": f"{name}2", "subjects": [f"{name}.evt.a"]})
    assert (refusal.value.code, refusal.value.err_code) == (400, 10065)


async def test_an_update_replaces_the_configuration(js: JetStream, name: str) -> None:
    info = await journal(js, name, metadata={"epoch": "1"})
    config = dict(info["config"])
    config["metadata"] = {"epoch": "2"}
    updated = await js.update_stream(config)
    assert updated["config"]["metadata"]["epoch"] == "2"
    assert updated["config"]["allow_direct"] is True
    del config["allow_direct"]
    assert not (await js.update_stream(config))["config"]["allow_direct"]


async def test_immutability_can_not_be_switched_off(js: JetStream, name: str) -> None:
    info = await journal(js, name)
    for flag in ("deny_delete", "deny_purge"):
        with pytest.raises(ServerRefused) as refusal:
            await js.update_stream({**info["config"], flag: False})
        assert refusal.value.err_code == 10052


async def test_an_update_of_no_stream_is_refused(js: JetStream, name: str) -> None:
    with pytest.raises(ServerRefused) as refusal:
        await js.update_stream({"name": name, "subjects": [name]})
    assert (refusal.value.code, refusal.value.err_code) == (404, 10059)


async def test_unknown_settings_are_refused(js: JetStream, name: str) -> None:
    with pytest.raises(ServerRefused) as refusal:
        await journal(js, name, no_such_setting=1)
    assert (refusal.value.code, refusal.value.err_code) == (400, 10025)


async def test_subjects_are_listed_with_their_counts(js: JetStream, name: str) -> None:
    await journal(js, name)
    for subject in ("b.1", "a.2", "a.1", "a.2"):
        await publish(js, f"{name}.evt.{subject}")
    assert await js.stream_subjects(name, f"{name}.evt.a.*") == {
        f"{name}.evt.a.1": 1,
        f"{name}.evt.a.2": 2,
    }
    everything = await js.stream_subjects(name, ">")
    assert list(everything) == [f"{name}.evt.{s}" for s in ("a.1", "a.2", "b.1")]
    assert await js.stream_subjects(name, f"{name}.evt.c.*") == {}


async def test_a_purge_removes_one_subject(js: JetStream, name: str) -> None:
    await mailboxes(js, name)
    for _ in range(2):
        await publish(js, f"{name}.cmd.a")
    await publish(js, f"{name}.cmd.b")
    assert await js.purge_stream(name, f"{name}.cmd.a") == 2
    assert await js.purge_stream(name, f"{name}.cmd.a") == 0
    assert await js.stream_subjects(name, ">") == {f"{name}.cmd.b": 1}
    assert (await publish(js, f"{name}.cmd.a")).sequence == 4


async def test_an_immutable_stream_is_not_purged(js: JetStream, name: str) -> None:
    await journal(js, name)
    await publish(js, f"{name}.evt.a")
    with pytest.raises(ServerRefused) as refusal:
        await js.purge_stream(name, f"{name}.evt.a")
    assert refusal.value.err_code == 10110
    assert await js.message(name, 1) is not None


async def test_rollups_of_an_immutable_stream_are_refused(js: JetStream, name: str) -> None:
    await journal(js, name)
    await publish(js, f"{name}.evt.a")
    with pytest.raises(ServerRefused) as refusal:
        await publish(js, f"{name}.evt.a", Nats_Rollup="all")
    assert refusal.value.err_code == 10111
