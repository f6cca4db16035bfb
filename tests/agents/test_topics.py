"""Topics: what is published comes to whoever subscribed, again and again until acknowledged."""

import asyncio
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from moonlet.agents import Client, Host, TopicMessage, TopicSubscription, connect
from moonlet.core.errors import (
    Conflict,
    InvalidId,
    InvalidMessage,
    InvalidSettings,
    LimitExceeded,
    PayloadTooLarge,
    Undecodable,
)
from moonlet.streams import Topology, apply_topology
from moonlet.streams.server.server_process import ServerProcess
from tests.agents.accounts import Announce, account_type
from tests.faulty import until_true

ROOT = Path(__file__).parent.parent.parent


class Price(msgspec.Struct, frozen=True):
    """A message of a topic."""

    of: str
    cents: int


@pytest.fixture
async def moon(shared_server: ServerProcess, name: str) -> AsyncIterator[Client]:
    async with connect(shared_server.url, topology=Topology(prefix=name)) as client:
        await apply_topology(client.bus)
        yield client


async def take(
    subscription: TopicSubscription, count: int, *, acknowledge: bool = True
) -> list[TopicMessage]:
    """So many messages, in order of arrival."""
    taken = []
    async with asyncio.timeout(20):
        for _ in range(count):
            message = await anext(subscription)
            if acknowledge:
                message.acknowledge()
            taken.append(message)
    return taken


async def publish_numbers(moon: Client, *numbers: int) -> None:
    for number in numbers:
        await moon.publish("numbers", number)


async def test_what_is_published_comes_to_all_who_subscribed(moon: Client) -> None:
    async with moon.subscribe("price.*.usd") as usd, moon.subscribe("price.>") as all_:
        stored = await moon.publish("price.eth.usd", Price("eth", 200_000), id="mine")
        assert (await moon.publish("price.eth.usd", Price("eth", 200_000), id="mine")) == stored
        await moon.publish("price.eth.eur", {"cents": 180_000})
        await moon.publish("price.btc.usd", Price("btc", 1))
        first, second = await take(usd, 2)
        assert (first.read(Price), first.topic) == (Price("eth", 200_000), "price.eth.usd")
        assert (first.id, first.sequence, first.agent) == ("mine", stored.sequence, "")
        assert (first.name, first.version, first.attempt) == ("Price", 1, 1)
        assert first.body == {"of": "eth", "cents": 200_000}
        assert abs((datetime.now(UTC) - first.time).total_seconds()) < 60
        assert second.read(Price).of == "btc"
        assert [message.topic for message in await take(all_, 3)] == [
            "price.eth.usd",
            "price.eth.eur",
            "price.btc.usd",
        ]


async def test_what_an_agent_publishes_is_told_with_its_name(moon: Client) -> None:
    async with Host(moon, [account_type()]), moon.subscribe("news.>") as news:
        await moon.ask("account/a", Announce("news.prices", "up"))
        [message] = await take(news, 1)
    assert (message.agent, message.id) == ("account/a", "account/a:1.0")
    assert message.body == {"text": "up"} or message.body == "up"


async def test_a_killed_subscriber_goes_on_where_it_was(
    moon: Client, shared_server: ServerProcess, name: str
) -> None:
    await publish_numbers(moon, *range(10))
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.subscriber_process", shared_server.url, name, "book", "4"),
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(30):
            lines = [await process.stdout.readline() for _ in range(10)]
    finally:
        process.kill()
        await process.wait()
    assert lines == [f"{number}\n".encode() for number in range(10)]
    await publish_numbers(moon, 10)
    async with moon.subscribe("numbers", durable="book") as rest:
        taken = await take(rest, 7)
    assert sorted(message.body for message in taken) == [4, 5, 6, 7, 8, 9, 10]
    assert {message.attempt > 1 for message in taken if message.body < 10} == {True}


async def test_a_message_comes_again_until_it_is_acknowledged(moon: Client) -> None:
    async with moon.subscribe("numbers", again_after=1) as numbers:
        await publish_numbers(moon, 1, 2)
        one, two = await take(numbers, 2, acknowledge=False)
        two.acknowledge()
        two.acknowledge()
        [late] = await take(numbers, 1, acknowledge=False)
        assert (late.body, late.attempt) == (1, 2)
        late.again()
        [at_once] = await take(numbers, 1)
        assert (at_once.body, at_once.attempt) == (1, 3)
        one.acknowledge()  # of a delivery that is long over: nothing happens
        await publish_numbers(moon, 3)
        assert [message.body for message in await take(numbers, 1)] == [3]


async def test_a_group_shares_the_messages_and_who_leaves_hands_on(moon: Client) -> None:
    async with moon.subscribe("numbers", group="g", prefetch=5, from_="all") as stays:
        async with moon.subscribe("numbers", group="g", prefetch=5) as leaves:
            await publish_numbers(moon, *range(20))
            kept = await take(leaves, 5, acknowledge=False)
            for message in kept[:2]:
                message.acknowledge()
            done = {message.body for message in kept[:2]}
        rest = await take(stays, 18)
    bodies = [message.body for message in rest]
    assert sorted(bodies) == sorted(set(range(20)) - done)


async def test_who_never_acknowledges_is_told_and_holds_no_more_than_asked(moon: Client) -> None:
    async with moon.subscribe("numbers", prefetch=8, again_after=1) as numbers:
        await asyncio.gather(*(moon.publish("numbers", number) for number in range(200)))
        taken = await take(numbers, 8, acknowledge=False)
        with pytest.raises(LimitExceeded, match=r"8 messages .* call acknowledge\(\)") as full:
            await asyncio.wait_for(anext(numbers), 10)
        assert (full.value.limit, full.value.value) == (8, 8)
        assert len(numbers._waiting) + len(numbers._out) <= 8
        for message in taken:
            message.acknowledge()  # their time is over, and it counts nevertheless
        heard = {message.sequence for message in taken}
        while len(heard) < 200:
            heard |= {message.sequence for message in await take(numbers, 1)}


async def test_who_leaves_all_that_it_may_hold_has_it_again(moon: Client) -> None:
    async with moon.subscribe("numbers", prefetch=1, again_after=1) as numbers:
        await publish_numbers(moon, 1)
        [first] = await take(numbers, 1, acknowledge=False)
        with pytest.raises(LimitExceeded):
            await asyncio.wait_for(anext(numbers), 10)
        [again] = await take(numbers, 1)
        assert (first.body, again.body, again.attempt > first.attempt) == (1, 1, True)
        await publish_numbers(moon, 2)
        assert [message.body for message in await take(numbers, 1)] == [2]


async def test_a_position_begins_where_it_is_asked_and_stays_what_it_is(moon: Client) -> None:
    await publish_numbers(moon, 1, 2, 3)
    async with moon.subscribe("numbers", from_="all") as all_:
        first, second, _ = await take(all_, 3)
    async with moon.subscribe("numbers", from_=second.sequence) as later:
        assert [message.body for message in await take(later, 2)] == [2, 3]
    async with moon.subscribe("numbers", from_=first.time) as since:
        assert [message.body for message in await take(since, 3)] == [1, 2, 3]
    async with moon.subscribe("numbers", durable="d"):
        pass
    await publish_numbers(moon, 4)
    async with moon.subscribe("numbers", durable="d", from_="all") as goes_on:
        assert [message.body for message in await take(goes_on, 1)] == [4]
    with pytest.raises(Conflict, match="take another name"):
        await moon.subscribe("letters", durable="d").__aenter__()
    assert await moon.unsubscribe(durable="d")
    assert not await moon.unsubscribe(durable="d")
    async with moon.subscribe("numbers", durable="d", from_="all") as anew:
        assert [message.body for message in await take(anew, 4)] == [1, 2, 3, 4]


async def test_foreign_bytes_in_a_topic_stop_nobody(moon: Client, name: str) -> None:
    async with moon.subscribe("prices") as prices:
        for data, headers in (
            (b"\xff", {}),
            (b"{}", {"Moonlet-Encoding": "yaml"}),
            (b"[" * 5_000, {"Moonlet-Schema": "Price/x"}),
            (b'{"of":"eth","cents":"many"}', {"Moonlet-Schema": "Price/1"}),
            (b'{"of":"eth","cents":1}', {"Moonlet-Schema": "Cost/1"}),
            (b'{"of":"eth","cents":1}', {"Moonlet-Schema": "Price/9"}),
        ):
            await moon.bus.publish(f"{name}.pub.prices", data, headers=headers, timeout=5)
        for message in await take(prices, 6):
            with pytest.raises(Undecodable, match="of topic prices can't be read"):
                message.read(Price)
        await moon.bus.publish(f"{name}.pub.prices", b'{"of":"eth","cents":1}', timeout=5)
        [plain] = await take(prices, 1)
        assert plain.read(Price) == Price("eth", 1)


@pytest.mark.parametrize("topic", ["", ".", "a..b", "a b", "a.*", ">", "a\r\nb", "é", "$JS", None])
async def test_topics_that_are_none_are_refused(moon: Client, topic: Any) -> None:
    with pytest.raises(InvalidId, match="topic"):
        await moon.publish(topic, 1)
    if topic not in ("a.*", ">"):
        with pytest.raises(InvalidId, match="topics"):
            moon.subscribe(topic)


@pytest.mark.parametrize("topics", ["a.>.b", ">.a", "a*", "a.>>", ".".join("abcdefghi"), "a.b.>c"])
async def test_wildcards_out_of_place_are_refused(moon: Client, topics: str) -> None:
    with pytest.raises(InvalidId, match="topics"):
        moon.subscribe(topics)


async def test_what_cannot_be_meant_is_refused_before_anything_is_sent(moon: Client) -> None:
    wrong: list[dict[str, Any]] = [
        {"from_": "old"},
        {"from_": 0},
        {"from_": True},
        {"from_": datetime(2026, 1, 1)},
        {"prefetch": 0},
        {"prefetch": 1_025},
        {"again_after": 0.5},
        {"again_after": float("nan")},
    ]
    for options in wrong:
        with pytest.raises(InvalidSettings):
            moon.subscribe("numbers", **options)
    for name in ("a.b", "", "x" * 129):
        with pytest.raises(InvalidId):
            moon.subscribe("numbers", durable=name)
    with pytest.raises(InvalidId, match="together"):
        moon.subscribe("numbers", durable="x" * 128, group="y" * 128)
    with pytest.raises(InvalidMessage):
        await moon.publish("numbers", float("nan"))
    with pytest.raises(PayloadTooLarge):
        await moon.publish("numbers", "x" * moon.bus.command_limit)
    with pytest.raises(InvalidId):
        await moon.publish("numbers", 1, id="two words")


async def test_a_killed_server_loses_no_message_of_a_topic(own_server: ServerProcess) -> None:
    async with connect(own_server.url) as moon:
        await apply_topology(moon.bus)
        numbers = moon.subscribe("numbers", durable="d")
        await numbers.__aenter__()
        seen: set[int] = set()

        async def listen() -> None:
            async for message in numbers:
                seen.add(message.body)
                message.acknowledge()

        async def all_seen() -> bool:
            return len(seen) == 51

        listening = asyncio.ensure_future(listen())
        await publish_numbers(moon, *range(50))
        own_server.kill()
        publishing = asyncio.ensure_future(moon.publish("numbers", 50, timeout=30))
        own_server.start()
        await publishing
        await until_true(all_seen)
        await numbers.close()
        await asyncio.wait_for(listening, 5)
    assert seen == set(range(51))


async def test_who_was_away_too_long_is_told_how_much_is_gone(moon: Client) -> None:
    await publish_numbers(moon, 1, 2, 3)
    async with moon.subscribe("numbers", durable="away", from_="all") as numbers:
        assert numbers.missed == 0
        await take(numbers, 3)
    await limit_topics(moon, 2)
    await publish_numbers(moon, *range(4, 10))
    async with moon.subscribe("numbers", durable="away") as numbers:
        assert numbers.missed == 4
        assert [message.body for message in await take(numbers, 2)] == [8, 9]


async def limit_topics(moon: Client, most: int) -> None:
    """Have the stream of topics hold no more messages."""
    stream = moon.bus.topology.stream("topics")
    info = await moon.bus._js.stream_info(stream)
    assert info is not None
    await moon.bus._js.update_stream({**info["config"], "max_msgs": most})
