"""The contract of `Consumer`: the same tests on the model, on its wire, on a server, on R3."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from moonlet.core.errors import Conflict, LimitExceeded
from moonlet.streams import (
    Bus,
    Consumer,
    Delivery,
    JetStream,
    StreamGone,
    owned_queue,
    shared_queue,
)
from moonlet.streams.api import PullStatus
from moonlet.streams.reading.consumer import window_of
from tests.contracts.conftest import kind_of
from tests.contracts.consumer_support import Reader, hooked, left, put, quick, reading
from tests.faulty import FaultyJetStream, bus_over, until, until_true

LIMIT = 100
"""Messages that one subject of the queue takes."""


@pytest.fixture
async def js(open_jetstream: Callable[[], Awaitable[JetStream]]) -> FaultyJetStream:
    return FaultyJetStream(await open_jetstream())


@pytest.fixture
async def bus(js: FaultyJetStream, name: str, request: pytest.FixtureRequest) -> Bus:
    """A queue as the mailboxes are, named `name`."""
    replicas = 3 if kind_of(request) == "cluster" else 1
    queue: dict[str, Any] = {
        "name": name,
        "subjects": [f"{name}.cmd.>"],
        "retention": "workqueue",
        "discard": "new",
        "discard_new_per_subject": True,
        "max_msgs_per_subject": LIMIT,
        "num_replicas": replicas,
    }
    await js.create_stream(queue)
    return bus_over(js)


# order and credit


async def test_all_is_delivered_in_order_and_leaves_when_acknowledged(bus: Bus, name: str) -> None:
    await put(bus, name, 30)
    async with reading(bus, name, credit=4) as reader:
        taken = reader.take

        def take(consumer: Consumer, deliveries: list[Delivery]) -> None:
            taken(consumer, deliveries)
            for delivery in deliveries:
                consumer.acknowledge(delivery)

        reader.consumer._on_deliveries = take
        for delivery in reader.deliveries:
            reader.consumer.acknowledge(delivery)
        await until(lambda: len(reader.deliveries) == 30)
        await put(bus, name, 5, first=31)
        await until(lambda: len(reader.deliveries) == 35)
        assert reader.numbers == list(range(1, 36))
        await until_true(lambda: _empty(bus, name))


async def _empty(bus: Bus, name: str) -> bool:
    return await left(bus, name) == 0


async def test_a_credit_bounds_what_is_delivered(bus: Bus, name: str) -> None:
    await put(bus, name, 5)
    async with reading(bus, name, credit=3) as reader:
        await until(lambda: len(reader.deliveries) == 3)
        reader.consumer.acknowledge(reader.deliveries[0])
        reader.consumer.release()  # of the second, which somebody reads back later
        await until(lambda: len(reader.deliveries) == 5)
        assert reader.numbers == [1, 2, 3, 4, 5]


async def test_one_consumer_reads_a_list_of_subjects_and_another_the_rest(
    bus: Bus, name: str
) -> None:
    for number, subject in enumerate("abcabc", 1):
        await put(bus, name, 1, subject=f"cmd.{subject}", first=number)
    async with reading(bus, name, "cmd.a", "cmd.c") as reader:
        await until(lambda: len(reader.deliveries) == 4)
        assert reader.numbers == [1, 3, 4, 6]
        terms = owned_queue(name, "other", [f"{name}.cmd.b", f"{name}.cmd.d"], revision=1)
        rest = Reader()
        rest.consumer = Consumer(bus, terms, credit=9, on_deliveries=rest.take)
        await rest.consumer.open()
        await until(lambda: rest.numbers == [2, 5])
        await rest.consumer.close(delete=True)


# confirmed acknowledgements


async def test_what_was_acknowledged_and_not_confirmed_stands_in_the_way_of_more(
    bus: Bus, js: FaultyJetStream, name: str
) -> None:
    await put(bus, name, 60)
    async with reading(bus, name, credit=16, window=16) as reader:
        await until(lambda: len(reader.deliveries) == 16)
        js.acknowledging = lambda _subject, _data: "lose"  # as a disk that removes nothing
        reader.acknowledge_all()
        await put(bus, name, 1, subject="cmd.b", first=61)  # whatever was asked for had come before
        assert len(reader.deliveries) == 16
        js.acknowledging = lambda _subject, _data: "pass"
        reader.consumer.renew()
        await until(lambda: len(reader.deliveries) == 32)
        assert reader.numbers == [*range(1, 17), *range(1, 17)]
        reader.acknowledge_all(16)
        await until(lambda: len(reader.deliveries) == 48)


async def test_a_confirmation_says_that_all_before_it_have_left(
    bus: Bus, name: str, request: pytest.FixtureRequest
) -> None:
    """The work queue never holds more than its unanswered messages and a window of others.

    Of three servers a quorum knows that these may go; the stream's own log follows a little later.
    """
    await put(bus, name, 90)
    window, most = 24, 0
    async with reading(bus, name, credit=24, window=window) as reader:
        done = 0

        async def answer() -> bool:
            nonlocal done, most
            ready, done = reader.deliveries[done:], len(reader.deliveries)
            for delivery in ready:
                reader.consumer.acknowledge(delivery)
            most = max(most, await left(bus, name) - (90 - done))
            return done == 90

        await until_true(answer)
        await until_true(lambda: _empty(bus, name))
    assert most <= window or kind_of(request) == "cluster", most


async def test_lost_acknowledgements_are_noticed_by_the_next_answer(
    bus: Bus, js: FaultyJetStream, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick(monkeypatch)
    await put(bus, name, 12)
    async with reading(bus, name, credit=8, window=8) as reader:
        await until(lambda: len(reader.deliveries) == 8)
        js.acknowledging = lambda _subject, _data: "lose"
        for delivery in reader.deliveries[:2]:
            reader.consumer.acknowledge(delivery)
        js.acknowledging = lambda _subject, _data: "pass"
        await until(lambda: len(reader.deliveries) >= 10)
        # The last one lost was sent again, to ask after it; three servers take a while with it.
        assert reader.numbers[8] == 1 and reader.numbers[9] in (2, 3)
        done = 2

        async def finished() -> bool:
            nonlocal done
            ready, done = done, len(reader.deliveries)
            reader.acknowledge_all(ready)
            return await left(bus, name) == 0

        await until_true(finished)


async def test_an_acknowledgement_from_before_a_renewal_waits_for_no_answer(
    bus: Bus, name: str
) -> None:
    """The server passes over what this consumer was not given yet, and says nothing."""
    await put(bus, name, 8)
    async with reading(bus, name, credit=4, window=4) as reader:
        await until(lambda: len(reader.deliveries) == 4)
        reader.consumer.renew()
        reader.acknowledge_all()
        await until(lambda: len(reader.deliveries) == 8)
        reader.acknowledge_all(4)
        await until(lambda: 8 in reader.numbers)
        reader.acknowledge_all(8)
        await until_true(lambda: _empty(bus, name))
        assert reader.lost == []


@pytest.mark.parametrize(
    "credit, limit, window",
    [(64, None, 1_088), (512, 10_000, 1_536), (128, 10_000, 1_152), (512, 600, 150), (8, 3, 1)],
)
def test_a_window_leaves_three_quarters_of_a_small_queue(
    credit: int, limit: int | None, window: int
) -> None:
    assert window_of(credit, limit) == window


# what is odd


async def test_a_gap_brings_all_unacknowledged_ones_again_in_order(
    bus: Bus, js: FaultyJetStream, name: str
) -> None:
    await put(bus, name, 6)
    lose = [3]

    def delivering(delivery: Delivery) -> bool:
        return not (lose and int(delivery.data) == lose[0] and lose.pop())

    js.delivering = delivering
    async with reading(bus, name) as reader:
        await until(lambda: reader.numbers[-1:] == [6])
        again = reader.numbers.index(1, 1)
        assert reader.numbers[again:] == [1, 2, 3, 4, 5, 6]
        assert reader.numbers[:again] == [1, 2]


async def test_a_lost_last_delivery_is_noticed_when_the_pull_ends(
    bus: Bus, js: FaultyJetStream, name: str
) -> None:
    await put(bus, name, 3)
    lose = [3]
    js.delivering = lambda delivery: not (lose and int(delivery.data) == 3 and lose.pop())
    async with reading(bus, name) as reader:
        await until(lambda: reader.numbers == [1, 2, 1, 2, 3])


async def test_a_pull_that_is_never_answered_is_made_again(
    bus: Bus, js: FaultyJetStream, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick(monkeypatch)
    swallow = [True]
    js.pulling = lambda _batch: not (swallow and swallow.pop())
    async with reading(bus, name) as reader:
        await put(bus, name, 2)
        await until(lambda: reader.numbers == [1, 2])
        assert swallow == []


async def test_a_reconnect_makes_it_anew_and_what_is_unacknowledged_comes_again(
    bus: Bus, js: FaultyJetStream, name: str
) -> None:
    hooks = hooked(js)
    await put(bus, name, 3)
    async with reading(bus, name) as reader:
        await until(lambda: reader.numbers == [1, 2, 3])
        reader.consumer.acknowledge(reader.deliveries[0])
        await until_true(lambda: _one_left(bus, name, 2))
        for hook in list(hooks):
            hook()
        await until(lambda: reader.numbers == [1, 2, 3, 2, 3])
    assert hooks == []


async def _one_left(bus: Bus, name: str, count: int) -> bool:
    return await left(bus, name) == count


async def test_a_consumer_that_its_server_does_not_know_is_made_anew_at_a_bounded_pace(
    bus: Bus, js: FaultyJetStream, name: str
) -> None:
    """Of three servers the one asked may not know a new consumer yet: 503 to each of its pulls."""
    made: list[float] = []
    opened = js.open_pull

    async def open_pull(
        stream: str, consumer: str, on_deliveries: Any, on_status: Any, *rest: Any
    ) -> Any:
        made.append(asyncio.get_running_loop().time())
        pull = await opened(stream, consumer, on_deliveries, on_status, *rest)
        if len(made) <= 5:
            unknown = PullStatus(503, "no responders", 1)
            asyncio.get_running_loop().call_soon(on_status, unknown)
        return pull

    js.__dict__["open_pull"] = open_pull
    await put(bus, name, 2)
    async with reading(bus, name) as reader:
        await until(lambda: len(made) > 5 and reader.numbers[-2:] == [1, 2])
    assert made[5] - made[0] > 0.3  # 25, 50, 100 and 200 ms at the least, behind the first


# owners


async def test_a_newer_owner_gets_the_rest_in_order_and_the_older_is_told(
    bus: Bus, name: str
) -> None:
    await put(bus, name, 5)
    async with reading(bus, name, revision=1) as stale:
        await until(lambda: len(stale.deliveries) == 5)
        stale.consumer.acknowledge(stale.deliveries[0])
        stale.consumer.acknowledge(stale.deliveries[3])
        await until_true(lambda: _one_left(bus, name, 3))
        async with reading(bus, name, revision=2) as heir:
            await until(lambda: len(heir.deliveries) == 3)
            assert heir.numbers == [2, 3, 5]
            await until(lambda: len(stale.lost) == 1)
            with pytest.raises(Conflict, match="own-r2"):
                async with reading(bus, name, revision=1):
                    pass
            heir.acknowledge_all()
            await until_true(lambda: _empty(bus, name))


async def test_a_consumer_that_was_deleted_behind_its_back_is_lost(
    bus: Bus, js: FaultyJetStream, name: str
) -> None:
    async with reading(bus, name) as reader:
        await js.delete_consumer(name, reader.consumer.name)
        await until(lambda: len(reader.lost) == 1)
        async with reading(bus, name, revision=2) as heir:
            await put(bus, name, 1)
            await until(lambda: heir.numbers == [1])


async def test_closing_without_deleting_leaves_the_rest_to_whoever_comes(
    bus: Bus, name: str
) -> None:
    await put(bus, name, 3)
    async with reading(bus, name) as reader:
        await until(lambda: len(reader.deliveries) == 3)
        reader.consumer.pause()
        await put(bus, name, 1, first=4)
        await reader.consumer.close(delete=False)
        async with reading(bus, name, revision=2) as heir:
            await until(lambda: heir.numbers == [1, 2, 3, 4])
        assert reader.numbers == [1, 2, 3]
        reader.lost.append("by the test")


async def test_a_stream_that_is_gone_and_a_server_that_takes_no_more_are_told(
    bus: Bus, js: FaultyJetStream, name: str
) -> None:
    with pytest.raises(StreamGone, match=f"{name}X"):
        await Consumer(
            bus,
            owned_queue(f"{name}X", "own", ["a"], revision=1),
            credit=1,
            on_deliveries=lambda consumer, deliveries: None,
        ).open()
    few = {"name": f"{name}F", "subjects": [f"{name}.few.>"], "max_consumers": 1}
    await js.create_stream({**few, "retention": "workqueue"})
    for number in (1, 2):
        consumer = Consumer(
            bus,
            owned_queue(f"{name}F", f"own{number}", [f"{name}.few.{number}"], revision=1),
            credit=1,
            on_deliveries=lambda consumer, deliveries: None,
        )
        if number == 1:
            await consumer.open()
        else:
            with pytest.raises(LimitExceeded, match="maximum consumers"):
                await consumer.open()
        await consumer.close(delete=False)


# shared by several


async def test_a_shared_queue_gives_each_message_to_one_and_again_after_silence(
    bus: Bus, name: str
) -> None:
    readers = [Reader(), Reader()]
    for reader in readers:
        terms = shared_queue(name, "shared", [f"{name}.cmd.>"], ack_wait=1.0)
        reader.consumer = Consumer(bus, terms, credit=3, at_least=1, on_deliveries=reader.take)
        await reader.consumer.open()
    await put(bus, name, 6)
    await until(lambda: sum(len(reader.deliveries) for reader in readers) == 6)
    assert sorted(readers[0].numbers + readers[1].numbers) == [1, 2, 3, 4, 5, 6]
    at_work, idle = readers
    taken = at_work.numbers
    await idle.consumer.close(delete=False)  # its three come to the other when their time is over
    for delivery in at_work.deliveries[1:]:
        at_work.consumer.acknowledge(delivery)

    def working() -> bool:
        at_work.consumer.in_work(at_work.deliveries[0])
        return len(at_work.deliveries) >= 5

    await until(working)
    assert set(at_work.numbers[3:]) <= set(idle.numbers)
    assert at_work.numbers.count(taken[0]) == 1, "what is said to be in work comes no second time"
    await at_work.consumer.close(delete=True)


async def test_a_shared_consumer_that_was_deleted_is_made_again(
    bus: Bus, js: FaultyJetStream, name: str
) -> None:
    reader = Reader()
    terms = shared_queue(name, "shared", [f"{name}.cmd.>"], ack_wait=30.0)
    reader.consumer = Consumer(bus, terms, credit=3, on_deliveries=reader.take)
    await reader.consumer.open()
    await js.delete_consumer(name, "shared")
    await put(bus, name, 2)
    await until(lambda: reader.numbers == [1, 2])
    await reader.consumer.close(delete=True)
