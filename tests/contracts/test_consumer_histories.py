"""Reading histories by consumers that nobody acknowledges: to the end, and on from there."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from moonlet.streams import Bus, Delivery, HistoryReader, JetStream, Sieve, read_messages
from tests.contracts.conftest import kind_of
from tests.contracts.consumer_support import hooked, put
from tests.faulty import FaultyJetStream, bus_over, until, until_true


@pytest.fixture
async def js(open_jetstream: Callable[[], Awaitable[JetStream]]) -> FaultyJetStream:
    return FaultyJetStream(await open_jetstream())


@pytest.fixture
async def bus(js: FaultyJetStream, name: str, request: pytest.FixtureRequest) -> Bus:
    """A stream as a journal is, `<name>J`."""
    replicas = 3 if kind_of(request) == "cluster" else 1
    journal = {"name": f"{name}J", "subjects": [f"{name}.evt.>"], "allow_direct": True}
    await js.create_stream({**journal, "num_replicas": replicas})
    return bus_over(js)


async def test_a_history_is_read_to_its_end_across_a_gap(
    bus: Bus, js: FaultyJetStream, name: str
) -> None:
    await put(bus, name, 400, subject="evt.a")
    lose = [300]

    def delivering(delivery: Delivery) -> bool:
        return not (lose and delivery.sequence == lose[0] and lose.pop())

    js.delivering = delivering
    read = [
        message.sequence
        async for batch in read_messages(bus, f"{name}J", f"{name}.evt.>")
        for message in batch
    ]
    assert read == list(range(1, 401)) and lose == []


async def test_a_history_is_followed_and_its_reader_breaks_at_a_reconnect(
    bus: Bus, js: FaultyJetStream, name: str
) -> None:
    hooks = hooked(js)
    filters = [f"{name}.evt.a", f"{name}.evt.b"]
    await put(bus, name, 2, subject="evt.a")
    await put(bus, name, 1, subject="evt.other", first=3)
    async with HistoryReader(bus, f"{name}J", filters, start=2, name="test") as reader:
        await until_true(reader.wait)
        assert [message.sequence for message in reader.take()] == [2]
        await put(bus, name, 1, subject="evt.b", first=4)
        await until(lambda: reader.has_more)
        hooks[0]()
        assert await reader.wait(1) and reader.broken
        assert [message.sequence for message in reader.take()] == [4]
    assert hooks == []
    assert await js.consumer_names(f"{name}J") == []


async def test_a_history_reader_is_woken_by_whoever_wants_it_to_look(bus: Bus, name: str) -> None:
    async with HistoryReader(bus, f"{name}J", [f"{name}.evt.>"], start=1, name="test") as reader:
        assert not await reader.wait(0.01)
        waiting = asyncio.create_task(reader.wait())
        await asyncio.sleep(0)
        reader.wake()
        assert await waiting and not reader.has_more and not reader.broken
        reader.give_up()
        assert reader.broken and await reader.wait()


async def test_through_a_sieve_a_history_gives_what_is_wanted_and_says_how_far_it_looked(
    bus: Bus, name: str
) -> None:
    for number in range(1, 61):
        await put(bus, name, 1, subject=f"evt.acct.{number % 20}", first=number)
    sieve = Sieve(lambda subject: subject.endswith(".7"))
    subject = f"{name}.evt.acct.*"
    async with HistoryReader(bus, f"{name}J", [subject], start=8, name="t", sieve=sieve) as reader:
        taken = []
        while reader.position < 60:
            assert await reader.wait(5)
            taken += reader.take()
        assert [message.sequence for message in taken] == [27, 47]
        assert not reader.broken


async def test_a_sifted_history_that_has_a_gap_gives_nothing_behind_it(
    bus: Bus, js: FaultyJetStream, name: str
) -> None:
    sieve = Sieve(lambda subject: True)
    await put(bus, name, 2, subject="evt.a")
    async with HistoryReader(
        bus, f"{name}J", [f"{name}.evt.a"], start=1, name="t", sieve=sieve
    ) as reader:
        await until(lambda: reader.position == 2)
        sieve.passed(-1, 0, 0)  # as if one had been lost on its way
        await put(bus, name, 1, subject="evt.a", first=3)
        await until(lambda: reader.broken)
        assert [message.sequence for message in reader.take()] == [1, 2]
        assert reader.position == 2
