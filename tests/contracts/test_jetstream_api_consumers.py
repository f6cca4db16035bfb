"""The contract of `JetStream`: consumers, work queues, schedules."""

from datetime import UTC, datetime, timedelta

import pytest

from moonlet.streams.api import Delivery, JetStream, NoAnswer, PullStatus, ServerRefused, Sieve
from tests.contracts.jetstream_support import (
    SECOND,
    Collector,
    consumer,
    eventually,
    mailboxes,
    publish,
)


async def open_queue(js: JetStream, name: str, *, count: int = 0, **more: object) -> Collector:
    """Mailboxes with `count` messages of one subject each, and a consumer `c1` of all of them."""
    await mailboxes(js, name)
    for i in range(count):
        await publish(js, f"{name}.cmd.{i}", b"%d" % i, N=str(i))
    await js.create_consumer(name, consumer("c1", **more))
    return await Collector(js).open(name, "c1")


async def message_count(js: JetStream, name: str) -> int:
    info = await js.stream_info(name)
    assert info is not None
    count = info["state"]["messages"]
    assert isinstance(count, int)
    return count


async def test_messages_are_delivered_in_order_with_their_facts(js: JetStream, name: str) -> None:
    queue = await open_queue(js, name, count=5)
    deliveries = await queue.take(5)
    assert [d.subject for d in deliveries] == [f"{name}.cmd.{i}" for i in range(5)]
    assert [d.data for d in deliveries] == [b"%d" % i for i in range(5)]
    assert [d.sequence for d in deliveries] == [1, 2, 3, 4, 5]
    assert [d.consumer_sequence for d in deliveries] == [1, 2, 3, 4, 5]
    assert {d.attempt for d in deliveries} == {1}
    assert dict(deliveries[3].headers or {}) == {"N": "3"}
    stored = await js.message(name, 4)
    assert stored is not None
    assert deliveries[3].time == stored.time


async def test_through_a_sieve_only_what_it_wants_is_handed_over_and_all_is_counted(
    js: JetStream, name: str
) -> None:
    await mailboxes(js, name)
    for i in range(9):
        await publish(js, f"{name}.cmd.{i % 3}", b"%d" % i)
    await js.create_consumer(name, consumer("c1"))
    asked: list[str] = []

    def wants(subject: str) -> bool:
        asked.append(subject)
        return subject == f"{name}.cmd.1" or len(asked) > 3

    sieve = Sieve(wants)
    taken: list[Delivery] = []
    statuses: list[PullStatus] = []
    pull = await js.open_pull(name, "c1", taken.extend, statuses.append, sieve=sieve)
    pull.request(5, expires=5.0)
    await eventually(lambda: sieve.count == 5)
    assert [d.data for d in taken] == [b"1", b"4"]
    assert (sieve.sequence, sieve.consumer_sequence) == (5, 5)
    assert sorted(asked) == [f"{name}.cmd.{i}" for i in range(3)]
    sieve.forget(f"{name}.cmd.2")
    pull.request(9, expires=0.3)
    await eventually(lambda: bool(statuses))
    assert [d.data for d in taken] == [b"1", b"4", b"5", b"7", b"8"]
    assert (sieve.count, statuses[0].code, statuses[0].missing) == (9, 408, 5)
    await pull.close()


async def test_a_waiting_request_gets_what_is_published_later(js: JetStream, name: str) -> None:
    queue = await open_queue(js, name)
    queue.pull.request(10, expires=10)
    await publish(js, f"{name}.cmd.a", b"late")
    await eventually(lambda: len(queue.deliveries) == 1)
    assert queue.deliveries[0].data == b"late"
    assert queue.deliveries[0].headers is None


async def test_acknowledged_messages_leave_the_work_queue(js: JetStream, name: str) -> None:
    queue = await open_queue(js, name, count=3)
    deliveries = await queue.take(3)
    assert await message_count(js, name) == 3
    js.acknowledge(deliveries[1].reply)
    js.acknowledge(deliveries[1].reply)

    async def one_gone() -> bool:
        return await message_count(js, name) == 2

    await eventually(one_gone)
    assert await js.message(name, 2) is None
    assert await js.message(name, 3) is not None


async def test_the_answer_to_an_acknowledgement_comes_when_all_up_to_it_are_gone(
    js: JetStream, name: str
) -> None:
    queue = await open_queue(js, name, count=6)
    deliveries = await queue.take(6)
    for question, delivery in enumerate(deliveries[:5], 1):
        answer_to = queue.pull.answer_to(question) if question % 2 == 0 else ""
        js.acknowledge(delivery.reply, answer_to=answer_to)
    await eventually(lambda: queue.confirmed == [2, 4])
    assert await message_count(js, name) <= 2
    js.acknowledge(deliveries[3].reply, answer_to=queue.pull.answer_to(7))
    await eventually(lambda: queue.confirmed == [2, 4, 7])
    assert await message_count(js, name) == 1
    assert queue.statuses == []


async def test_the_answer_to_an_acknowledgement_says_that_there_is_no_consumer(
    js: JetStream, name: str
) -> None:
    queue = await open_queue(js, name, count=1)
    (delivery,) = await queue.take(1)
    await js.delete_consumer(name, "c1")
    js.acknowledge(delivery.reply, answer_to=queue.pull.answer_to(1))
    await eventually(lambda: queue.statuses == [PullStatus(503, "No Responders", 0)])
    assert queue.confirmed == []


@pytest.mark.parametrize("word", [b"+ACK", b"+TERM"])
async def test_what_was_never_delivered_is_acknowledged_without_an_answer(
    js: JetStream, name: str, word: bytes
) -> None:
    queue = await open_queue(js, name, count=1)
    (delivery,) = await queue.take(1)
    tokens = delivery.reply.split(".")
    tokens[5] = "51"
    with pytest.raises(NoAnswer):
        await js.request(".".join(tokens), word, timeout=0.3)
    assert (await js.request(delivery.reply, word, timeout=5)).data == b""


async def test_an_acknowledgement_frees_a_place_in_a_full_mailbox(js: JetStream, name: str) -> None:
    queue = await open_queue(js, name)
    for _ in range(3):
        await publish(js, f"{name}.cmd.a")
    with pytest.raises(ServerRefused):
        await publish(js, f"{name}.cmd.a")
    js.acknowledge((await queue.take(1))[0].reply)

    async def accepted() -> bool:
        try:
            await publish(js, f"{name}.cmd.a")
        except ServerRefused:
            return False
        return True

    await eventually(accepted)


async def test_a_recreated_consumer_gets_the_unacknowledged_rest_in_order(
    js: JetStream, name: str
) -> None:
    queue = await open_queue(js, name, count=10)
    deliveries = await queue.take(7)
    for i in (0, 1, 3, 6):
        js.acknowledge(deliveries[i].reply)

    async def acknowledged() -> bool:
        return await message_count(js, name) == 6

    await eventually(acknowledged)
    await publish(js, f"{name}.cmd.2", b"again")
    assert await js.delete_consumer(name, "c1")
    await js.create_consumer(name, consumer("c2"))
    successor = await Collector(js).open(name, "c2")
    rest = await successor.take(7)
    assert [d.sequence for d in rest] == [3, 5, 6, 8, 9, 10, 11]
    assert [d.consumer_sequence for d in rest] == list(range(1, 8))
    assert {d.attempt for d in rest} == {1}


async def test_a_stale_acknowledgement_changes_nothing(js: JetStream, name: str) -> None:
    queue = await open_queue(js, name, count=1)
    stale = (await queue.take(1))[0].reply
    await js.delete_consumer(name, "c1")
    await js.create_consumer(name, consumer("c2"))
    js.acknowledge(stale)
    successor = await Collector(js).open(name, "c2")
    again = await successor.take(1)
    assert again[0].sequence == 1
    assert await message_count(js, name) == 1


async def test_a_message_comes_again_when_its_acknowledgement_is_late(
    js: JetStream, name: str
) -> None:
    queue = await open_queue(js, name, count=2, ack_wait=SECOND // 2)
    first = await queue.take(2)
    js.acknowledge(first[1].reply)
    again = (await queue.take(1))[0]
    assert (again.sequence, again.attempt, again.consumer_sequence) == (1, 2, 3)


async def test_an_expired_request_says_how_many_are_missing(js: JetStream, name: str) -> None:
    queue = await open_queue(js, name, count=2)
    queue.pull.request(5, expires=0.3)
    await eventually(lambda: len(queue.statuses) == 1)
    assert len(queue.deliveries) == 2
    assert (queue.statuses[0].code, queue.statuses[0].missing) == (408, 3)


async def test_a_fulfilled_request_has_no_status(js: JetStream, name: str) -> None:
    queue = await open_queue(js, name, count=2)
    await queue.take(2, expires=0.3)
    queue.pull.request(1, expires=0.3)
    await eventually(lambda: len(queue.statuses) == 1)
    assert queue.statuses[0].missing == 1


async def test_requests_are_served_one_after_the_other(js: JetStream, name: str) -> None:
    queue = await open_queue(js, name, count=4)
    queue.pull.request(2, expires=5)
    queue.pull.request(4, expires=0.5)
    await eventually(lambda: len(queue.statuses) == 1)
    assert [d.sequence for d in queue.deliveries] == [1, 2, 3, 4]
    assert (queue.statuses[0].code, queue.statuses[0].missing) == (408, 2)


async def test_a_request_ends_when_its_consumer_is_deleted(js: JetStream, name: str) -> None:
    queue = await open_queue(js, name, count=1)
    queue.pull.request(5, expires=30)
    await eventually(lambda: len(queue.deliveries) == 1)
    await js.delete_consumer(name, "c1")
    await eventually(lambda: len(queue.statuses) == 1)
    assert queue.statuses[0].code == 409
    assert queue.statuses[0].missing in (4, 5)  # the server doesn't say: at most the whole request
    assert queue.statuses[0].description == "Consumer Deleted"


async def test_a_request_to_no_consumer_ends_at_once(js: JetStream, name: str) -> None:
    await mailboxes(js, name)
    nobody = await Collector(js).open(name, "nobody")
    nobody.pull.request(5, expires=30)
    await eventually(lambda: len(nobody.statuses) == 1)
    assert nobody.statuses == [PullStatus(503, "No Responders", 5)]


async def test_a_closed_pull_delivers_nothing(js: JetStream, name: str) -> None:
    queue = await open_queue(js, name)
    queue.pull.request(5, expires=30)
    await queue.pull.close()
    await publish(js, f"{name}.cmd.a")
    other = await Collector(js).open(name, "c1")
    await publish(js, f"{name}.cmd.b")
    await other.take(1)
    assert queue.deliveries == []


async def test_filtered_consumers_share_a_work_queue(js: JetStream, name: str) -> None:
    await mailboxes(js, name)
    for i in range(6):
        await publish(js, f"{name}.cmd.{i % 2}.x")
    even = consumer("even", filter_subject=f"{name}.cmd.0.>")
    odd = consumer("odd", filter_subjects=[f"{name}.cmd.1.>"])
    await js.create_consumer(name, even)
    await js.create_consumer(name, odd)
    evens = await (await Collector(js).open(name, "even")).take(3)
    odds = await (await Collector(js).open(name, "odd")).take(3)
    assert [d.sequence for d in evens] == [1, 3, 5]
    assert [d.sequence for d in odds] == [2, 4, 6]
    with pytest.raises(ServerRefused) as refusal:
        await js.create_consumer(name, consumer("again", filter_subject=f"{name}.cmd.0.x"))
    assert refusal.value.err_code == 10100
    with pytest.raises(ServerRefused) as refusal:
        await js.create_consumer(name, consumer("all"))
    assert refusal.value.err_code == 10099


async def test_a_consumer_is_created_once(js: JetStream, name: str) -> None:
    await mailboxes(js, name)
    info = await js.create_consumer(name, consumer("c1"))
    assert (info["stream_name"], info["name"]) == (name, "c1")
    assert info["config"]["ack_wait"] == 30 * SECOND
    again = await js.create_consumer(name, consumer("c1"))
    assert again["created"] == info["created"]
    with pytest.raises(ServerRefused) as refusal:
        await js.create_consumer(name, consumer("c1", ack_wait=SECOND))
    assert (refusal.value.code, refusal.value.err_code) == (400, 10148)


async def test_consumers_are_listed_and_deleted(js: JetStream, name: str) -> None:
    await mailboxes(js, name)
    assert await js.consumer_names(name) == []
    for i in (2, 1, 3):
        await js.create_consumer(name, consumer(f"c{i}", filter_subject=f"{name}.cmd.{i}"))
    assert await js.consumer_names(name) == ["c1", "c2", "c3"]
    assert await js.delete_consumer(name, "c2")
    assert not await js.delete_consumer(name, "c2")
    assert await js.consumer_names(name) == ["c1", "c3"]


async def test_a_consumer_may_start_at_a_sequence_and_deliver_what_is_stored(
    js: JetStream, name: str
) -> None:
    await js.create_stream({"name": name, "subjects": [f"{name}.>"]})
    for i in range(6):
        await publish(js, f"{name}.{i % 2}")
    config = {
        "name": "replay",
        "ack_policy": "none",
        "deliver_policy": "by_start_sequence",
        "opt_start_seq": 3,
        "filter_subject": f"{name}.0",
        "inactive_threshold": 60 * SECOND,
        "mem_storage": True,
        "num_replicas": 1,
    }
    await js.create_consumer(name, config)
    replay = await Collector(js).open(name, "replay")
    assert [d.sequence for d in await replay.take(2)] == [3, 5]


# schedules (ADR-51)


async def timers(js: JetStream, name: str) -> None:
    """A work queue of schedules and firings, as the timers are."""
    await js.create_stream(
        {
            "name": name,
            "subjects": [f"{name}.timer.>", f"{name}.fire.>"],
            "retention": "workqueue",
            "allow_msg_schedules": True,
        }
    )


async def server_time(js: JetStream, name: str) -> datetime:
    """The server's clock: the time of a message stored now."""
    ack = await publish(js, f"{name}.fire.probe")
    stored = await js.message(name, ack.sequence)
    assert stored is not None
    await js.purge_stream(name, f"{name}.fire.probe")
    return datetime.fromtimestamp(stored.time / SECOND, UTC)


def at(when: datetime) -> str:
    return "@at " + when.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


async def test_a_schedule_fires_once_and_leaves_nothing(js: JetStream, name: str) -> None:
    await timers(js, name)
    now = await server_time(js, name)
    await publish(
        js,
        f"{name}.timer.a",
        b"wake",
        Nats_Schedule=at(now + timedelta(seconds=1)),
        Nats_Schedule_Target=f"{name}.fire.a",
        Nats_Msg_Id="stripped",
        Id="mine",
    )
    await js.create_consumer(name, consumer("c1", filter_subject=f"{name}.fire.>"))
    queue = await Collector(js).open(name, "c1")
    fired = (await queue.take(1, expires=10))[0]
    assert (fired.subject, fired.data) == (f"{name}.fire.a", b"wake")
    headers = dict(fired.headers or {})
    assert headers["Id"] == "mine"
    assert headers["Nats-Scheduler"] == f"{name}.timer.a"
    assert headers["Nats-Schedule-Next"] == "purge"
    assert "Nats-Msg-Id" not in headers
    delay = datetime.fromtimestamp(fired.time / SECOND, UTC) - now
    assert timedelta(seconds=0.9) <= delay <= timedelta(seconds=4)
    js.acknowledge(fired.reply)

    async def empty() -> bool:
        return await js.stream_subjects(name, ">") == {}

    await eventually(empty)


async def test_a_schedule_in_the_past_fires_at_once(js: JetStream, name: str) -> None:
    await timers(js, name)
    now = await server_time(js, name)
    await publish(
        js,
        f"{name}.timer.a",
        Nats_Schedule=at(now - timedelta(hours=1)),
        Nats_Schedule_Target=f"{name}.fire.a",
    )

    async def fired() -> bool:
        return await js.last_message(name, f"{name}.fire.a") is not None

    await eventually(fired, timeout=5)


async def test_a_purged_or_replaced_schedule_does_not_fire(js: JetStream, name: str) -> None:
    await timers(js, name)
    now = await server_time(js, name)
    for subject, delay, body in (("a", 1.0, b"a"), ("b", 1.0, b"old"), ("c", 2.0, b"last")):
        await publish(
            js,
            f"{name}.timer.{subject}",
            body,
            Nats_Schedule=at(now + timedelta(seconds=delay)),
            Nats_Schedule_Target=f"{name}.fire.{subject}",
        )
    assert await js.purge_stream(name, f"{name}.timer.a") == 1
    await publish(
        js,
        f"{name}.timer.b",
        b"new",
        Nats_Schedule=at(now + timedelta(seconds=1.5)),
        Nats_Schedule_Target=f"{name}.fire.b",
    )
    await js.create_consumer(name, consumer("c1", filter_subject=f"{name}.fire.>"))
    queue = await Collector(js).open(name, "c1")
    fired = await queue.take(2, expires=10)
    assert sorted(d.data for d in fired) == [b"last", b"new"]


async def test_bad_schedules_are_refused(js: JetStream, name: str) -> None:
    await timers(js, name)
    soon = at(await server_time(js, name) + timedelta(hours=1))
    cases = {
        10189: {"Nats_Schedule": "@at noon", "Nats_Schedule_Target": f"{name}.fire.a"},
        10190: {"Nats_Schedule": soon, "Nats_Schedule_Target": "elsewhere"},
    }
    for err_code, headers in cases.items():
        with pytest.raises(ServerRefused) as refusal:
            await publish(js, f"{name}.timer.a", b"x", **headers)
        assert refusal.value.err_code == err_code
    await mailboxes(js, f"{name}M")
    with pytest.raises(ServerRefused) as refusal:
        await publish(
            js, f"{name}M.cmd.a", Nats_Schedule=soon, Nats_Schedule_Target=f"{name}M.cmd.b"
        )
    assert refusal.value.err_code == 10188


async def test_schedules_and_discarding_the_new_exclude_each_other(
    js: JetStream, name: str
) -> None:
    with pytest.raises(ServerRefused) as refusal:
        await mailboxes(js, name, allow_msg_schedules=True)
    assert refusal.value.err_code == 10052


async def test_a_schedule_after_2262_wraps_around_and_one_before_stands(
    js: JetStream, name: str
) -> None:
    await timers(js, name)
    for subject, when in (
        ("kept", "2262-01-01T00:00:00.000000Z"),
        ("wrapped", "2300-01-01T00:00:00.000000Z"),
        ("around", "2800-01-01T00:00:00.000000Z"),  # as 2215
        ("last", "9999-12-31T23:59:59.999999Z"),  # as 1816
        ("epoch", "1970-01-01T00:00:00.000000Z"),
    ):
        await publish(
            js,
            f"{name}.timer.{subject}",
            Nats_Schedule=f"@at {when}",
            Nats_Schedule_Target=f"{name}.fire.{subject}",
        )

    async def fired() -> bool:
        return sorted(await js.stream_subjects(name, f"{name}.fire.>")) == [
            f"{name}.fire.{subject}" for subject in ("epoch", "last", "wrapped")
        ]

    await eventually(fired, timeout=5)
    assert sorted(await js.stream_subjects(name, f"{name}.timer.>")) == [
        f"{name}.timer.around",
        f"{name}.timer.kept",
    ]
