"""Reading histories by consumers that nobody acknowledges: to the end, and on from there."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

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


@asynccontextmanager
async def reading(
    bus: Bus,
    stream: str,
    filters: list[str],
    *,
    start: int = 1,
    sieve: Sieve | None = None,
) -> AsyncIterator[HistoryReader]:
    """A reader that is answered: of three servers the one asked may not know its consumer yet."""
    async with AsyncExitStack() as stack, asyncio.timeout(30):
        while True:
            reader = HistoryReader(bus, stream, filters, start=start, name="test", sieve=sieve)
            await stack.enter_async_context(reader)
            await reader.wait(0.2)
            if not reader.broken:
                break
            await stack.pop_all().aclose()
        yield reader


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
    async with reading(bus, f"{name}J", filters, start=2) as reader:
        await until_true(reader.wait)
        assert [message.sequence for message in reader.take()] == [2]
        await put(bus, name, 1, subject="evt.b", first=4)
        await until(lambda: reader.has_more)
        hooks[0]()
        assert await reader.wait(1) and reader.broken
        assert [message.sequence for message in reader.take()] == [4]
    assert hooks == []
    await until_true(lambda: _unread(js, f"{name}J"))


async def _unread(js: FaultyJetStream, stream: str) -> bool:
    names: list[str] = await js.consumer_names(stream)
    return names == []


@pytest.mark.parametrize("sifted", [False, True])
async def test_what_comes_from_before_the_start_is_left_out(
    bus: Bus, js: FaultyJetStream, name: str, sifted: bool
) -> None:
    """The server begins at the end that a replica has, if that lies before what is asked for."""

    async def create_consumer(stream: str, config: dict[str, Any]) -> dict[str, Any]:
        made: dict[str, Any] = await js.inner.create_consumer(
            stream, {**config, "opt_start_seq": 1}
        )
        return made

    js.__dict__["create_consumer"] = create_consumer
    await put(bus, name, 6, subject="evt.a")
    sieve = Sieve(lambda subject: True) if sifted else None
    async with reading(bus, f"{name}J", [f"{name}.evt.a"], start=4, sieve=sieve) as reader:
        await until(lambda: reader.position == 6)
        assert [message.sequence for message in reader.take()] == [4, 5, 6]


async def test_a_history_reader_is_woken_by_whoever_wants_it_to_look(bus: Bus, name: str) -> None:
    async with reading(bus, f"{name}J", [f"{name}.evt.>"]) as reader:
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
    async with reading(bus, f"{name}J", [subject], start=8, sieve=sieve) as reader:
        taken = reader.take()
        while reader.position < 60:
            assert await reader.wait(5) and not reader.broken
            taken += reader.take()
        assert [message.sequence for message in taken] == [27, 47]
        assert not reader.broken


async def test_a_sifted_history_that_has_a_gap_gives_nothing_behind_it(
    bus: Bus, js: FaultyJetStream, name: str
) -> None:
    sieve = Sieve(lambda subject: True)
    await put(bus, name, 2, subject="evt.a")
    async with reading(bus, f"{name}J", [f"{name}.evt.a"], sieve=sieve) as reader:
        await until(lambda: reader.position == 2)
        sieve.passed(-1, 0, 0)  # as if one had been lost on its way
        await put(bus, name, 1, subject="evt.a", first=3)
        await until(lambda: reader.broken)
        assert [message.sequence for message in reader.take()] == [1, 2]
        assert reader.position == 2


async def test_who_leaves_a_history_leaves_no_consumer_and_waits_for_nobody(
    bus: Bus, name: str
) -> None:
    await put(bus, name, 1_000, subject="evt.a")
    read = read_messages(bus, f"{name}J", f"{name}.evt.>", wide=True)
    assert await anext(read)
    assert await bus._js.consumer_names(f"{name}J")
    await read.aclose()

    async def gone() -> bool:
        return not await bus._js.consumer_names(f"{name}J")

    await until_true(gone)
