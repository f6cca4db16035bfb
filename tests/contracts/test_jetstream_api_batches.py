"""The contract of `JetStream`: atomic batches."""

import pytest

from moonlet.core.errors import PayloadTooLarge
from moonlet.streams.api import JetStream, NoResponders, Outgoing, ServerRefused
from tests.contracts.jetstream_support import (
    MESSAGE_ID,
    journal,
    last_sequence,
    mailboxes,
    outgoing,
    publish,
)


async def test_a_batch_is_stored_in_order_without_a_gap(js: JetStream, name: str) -> None:
    await journal(js, name)
    await publish(js, f"{name}.evt.z")
    members = [outgoing(f"{name}.evt.{i % 3}", b"%d" % i) for i in range(10)]
    members[4] = Outgoing(members[4].subject, members[4].data, {"K": "v"})
    ack = await js.publish_batch(members, timeout=5)
    assert (ack.stream, ack.sequence, ack.duplicate) == (name, 11, False)
    for i, member in enumerate(members):
        stored = await js.message(name, 2 + i)
        assert stored is not None
        assert (stored.subject, stored.data) == (member.subject, member.data)
    fifth = await js.message(name, 6)
    assert fifth is not None and fifth.headers is not None
    assert fifth.headers["K"] == "v"


async def test_a_batch_may_have_one_member_or_a_thousand(js: JetStream, name: str) -> None:
    await journal(js, name)
    assert (await js.publish_batch([outgoing(f"{name}.evt.a")], timeout=5)).sequence == 1
    many = [outgoing(f"{name}.evt.{i}", b"x" * 100, 0) for i in range(1000)]
    assert (await js.publish_batch(many, timeout=10)).sequence == 1001


async def test_a_batch_of_one_has_its_expectation_checked(js: JetStream, name: str) -> None:
    await journal(js, name)
    await publish(js, f"{name}.evt.a")
    with pytest.raises(ServerRefused, match="wrong last sequence: 1") as refusal:
        await js.publish_batch([outgoing(f"{name}.evt.a", b"x", 0)], timeout=5)
    assert refusal.value.err_code == 10071


async def test_batches_in_flight_together_are_all_stored(js: JetStream, name: str) -> None:
    await journal(js, name)
    batches = [
        js.publish_batch([outgoing(f"{name}.evt.{b}.{i}") for i in range(5)], timeout=10)
        for b in range(40)
    ]
    ends = sorted([(await batch).sequence for batch in batches])
    assert ends == list(range(5, 201, 5))


async def test_a_conflict_of_one_member_stores_nothing(js: JetStream, name: str) -> None:
    await journal(js, name)
    await publish(js, f"{name}.evt.x")
    await publish(js, f"{name}.evt.b")
    members = [
        outgoing(f"{name}.evt.a", b"1", 0),
        outgoing(f"{name}.evt.b", b"2", 0),
        outgoing(f"{name}.evt.c", b"3", 0),
    ]
    with pytest.raises(ServerRefused) as refusal:
        await js.publish_batch(members, timeout=5)
    assert (refusal.value.code, refusal.value.err_code) == (400, 10071)
    assert refusal.value.description == "wrong last sequence: 2"
    assert await last_sequence(js, name) == 2
    members[1] = outgoing(f"{name}.evt.b", b"2", 2)
    assert (await js.publish_batch(members, timeout=5)).sequence == 5


async def test_only_the_first_member_of_a_subject_may_have_an_expectation(
    js: JetStream, name: str
) -> None:
    await journal(js, name)
    good = [outgoing(f"{name}.evt.a", b"1", 0), outgoing(f"{name}.evt.a", b"2")]
    assert (await js.publish_batch(good, timeout=5)).sequence == 2
    bad = [outgoing(f"{name}.evt.a", b"3", 2), outgoing(f"{name}.evt.a", b"4", 3)]
    with pytest.raises(ServerRefused) as refusal:
        await js.publish_batch(bad, timeout=5)
    assert (refusal.value.code, refusal.value.err_code) == (400, 10164)
    assert await last_sequence(js, name) == 2


async def test_a_batch_is_refused_where_it_is_not_allowed(js: JetStream, name: str) -> None:
    await journal(js, name, allow_atomic=False)
    with pytest.raises(ServerRefused) as refusal:
        await js.publish_batch([outgoing(f"{name}.evt.a"), outgoing(f"{name}.evt.b")], timeout=5)
    assert (refusal.value.code, refusal.value.err_code) == (400, 10174)
    assert await last_sequence(js, name) == 0


async def test_a_batch_to_no_stream_has_no_responders(js: JetStream, name: str) -> None:
    with pytest.raises(NoResponders):
        await js.publish_batch([outgoing(f"{name}.a"), outgoing(f"{name}.b")], timeout=5)


async def test_a_batch_over_two_streams_stores_nothing(js: JetStream, name: str) -> None:
    await journal(js, name)
    await js.create_stream(
        {"name": f"{name}2", "subjects": [f"{name}.other.>"], "allow_atomic": True}
    )
    with pytest.raises(ServerRefused):
        await js.publish_batch([outgoing(f"{name}.evt.a"), outgoing(f"{name}.other.a")], timeout=5)
    assert await last_sequence(js, name) == 0
    assert await last_sequence(js, f"{name}2") == 0


async def test_a_batch_over_a_limit_stores_nothing(js: JetStream, name: str) -> None:
    await mailboxes(js, name, allow_atomic=True)
    await publish(js, f"{name}.cmd.a")
    members = [outgoing(f"{name}.cmd.b")] + [outgoing(f"{name}.cmd.a")] * 3
    with pytest.raises(ServerRefused) as refusal:
        await js.publish_batch(members, timeout=5)
    assert (refusal.value.code, refusal.value.err_code) == (503, 10077)
    assert await last_sequence(js, name) == 1


async def test_a_batch_with_a_known_message_id_stores_nothing(js: JetStream, name: str) -> None:
    await journal(js, name)
    await publish(js, f"{name}.evt.a", **{MESSAGE_ID: "id-1"})
    members = [
        Outgoing(f"{name}.evt.b", b"1", {MESSAGE_ID: "id-2"}),
        Outgoing(f"{name}.evt.c", b"2", {MESSAGE_ID: "id-1"}),
    ]
    with pytest.raises(ServerRefused) as refusal:
        await js.publish_batch(members, timeout=5)
    assert refusal.value.err_code == 10201
    assert await last_sequence(js, name) == 1


async def test_a_member_over_the_payload_limit_is_refused_before_anything_is_sent(
    js: JetStream, name: str
) -> None:
    await journal(js, name)
    members = [outgoing(f"{name}.evt.a"), outgoing(f"{name}.evt.b", b"x" * js.max_payload)]
    with pytest.raises(PayloadTooLarge):
        await js.publish_batch(members, timeout=5)
    assert (await publish(js, f"{name}.evt.a")).sequence == 1
