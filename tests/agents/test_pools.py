"""Pools: many agent types share consumers, whatever hosts run which of them."""

import asyncio
from collections import Counter
from typing import Any

import msgspec
import pytest

from moonlet.agents import AgentType, Client, Decision, Host, Reply
from moonlet.core.envelope import Envelope
from moonlet.core.errors import InvalidMessage
from moonlet.core.ids import AgentId
from moonlet.streams import Bucket, Home, Registry, decode_home, encode_envelope
from moonlet.testing import MoonServer
from tests.faulty import until_true

LANES_AND_TIMERS = 9
"""Consumers of one feed: four lanes of two queues, and the timers."""


class Add(msgspec.Struct, frozen=True):
    amount: int = 1


class Added(msgspec.Struct, frozen=True):
    amount: int


class Sum(msgspec.Struct, frozen=True):
    total: int = 0


class Total(msgspec.Struct, frozen=True):
    pass


def sums(name: str, partitions: int = 4) -> AgentType[Sum]:
    made = AgentType(name, Sum, partitions=partitions)

    @made.on_command
    def add(state: Sum, command: Add) -> Decision:
        yield Added(command.amount)
        yield Reply(state.total + command.amount)

    @made.on_event
    def added(state: Sum, event: Added) -> Sum:
        return Sum(state.total + event.amount)

    @made.on_query
    def total(state: Sum, query: Total) -> int:
        return state.total

    return made


async def consumers(client: Client) -> list[str]:
    """Of all queues, without the revision at their end."""
    bus = client.bus
    streams = (bus.topology.stream(name) for name in ("mailboxes", "internal", "timers"))
    names = [await bus._js.consumer_names(stream) for stream in streams]
    return sorted(name.rpartition("-r")[0] for found in names for name in found)


async def feeds(client: Client) -> set[str]:
    """The feeds that stand, as their consumers' names begin; only whole ones count."""
    counts = Counter(name.rsplit("-", 2)[0] for name in await consumers(client) if "-in-" in name)
    return {name for name, count in counts.items() if count == 4}


async def test_many_types_are_served_by_the_consumers_of_one(moon_server: MoonServer) -> None:
    types = [sums(f"kind{number}") for number in range(80)]
    async with moon_server.connect() as client, Host(client, types) as host:
        assert len(host.partitions) == 80 * 4
        assert len(await consumers(client)) == LANES_AND_TIMERS * 4
        asked = (client.ask(f"{made.name}/{n}", Add(n)) for made in types for n in range(4))
        assert await asyncio.gather(*asked) == [0, 1, 2, 3] * 80
        assert await client.query("kind7/3", Total()) == 3


async def test_hosts_that_run_a_part_of_a_pool_have_feeds_of_their_own(
    moon_server: MoonServer,
) -> None:
    one, two = sums("one", 2), sums("two", 2)
    told: Counter[str] = Counter()

    async def tell_on(client: Client, until: asyncio.Event) -> None:
        while not until.is_set():
            for agent in ("one/a", "one/b", "one/c", "two/a", "two/b", "two/c"):
                await client.tell(agent, Add())
                told[agent] += 1

    async with moon_server.connect() as client, Host(client, [one, two]):
        assert await feeds(client) == {"one+p0", "one+p1"}
        done = asyncio.Event()
        telling = asyncio.create_task(tell_on(client, done))
        async with moon_server.connect() as other, Host(other, [one]) as part:

            async def apart() -> bool:
                """Each host has one number of `one`; the number that is split has two feeds."""
                if len(part.partitions) != 1:
                    return False
                ((_, split),) = part.partitions
                return await feeds(client) == {
                    f"one-p{split}",
                    f"two-p{split}",
                    f"one+p{1 - split}",
                }

            await until_true(apart)

        async def together() -> bool:
            return await feeds(client) == {"one+p0", "one+p1"}

        await until_true(together)
        done.set()
        await telling
        for agent, count in told.items():
            assert await client.ask(agent, Add(0)) == count


async def test_what_nobody_runs_waits_and_keeps_nobody_from_going_on(
    moon_server: MoonServer,
) -> None:
    one, two = sums("one", 1), sums("two", 1)
    async with moon_server.connect() as client:
        async with Host(client, [one, two]):
            assert await client.ask("two/a", Add()) == 1
        async with Host(client, [one]):
            waiting = [await client.tell("two/a", Add()) for _ in range(600)]  # over the credit
            assert await client.ask("one/a", Add()) == 1
            async with moon_server.connect() as other, Host(other, [two]):
                assert [(await r.committed(20)).revision for r in waiting] == list(range(2, 602))
                assert await client.ask("one/a", Add()) == 2


async def test_a_type_joins_a_pool_that_all_its_hosts_run(moon_server: MoonServer) -> None:
    async with moon_server.connect() as client, Host(client, [sums("one")]) as host:
        await host.add(sums("three"))
        async with moon_server.connect() as other, Host(other, [sums("one"), sums("two")]):
            homes = await Registry(client.bus).types()
            assert homes == {
                "one": Home(4, "one"),
                "three": Home(4, "one"),
                "two": Home(4, "two"),  # the first host runs no type `two`
            }


async def test_hosts_that_register_at_the_same_time_agree(moon_server: MoonServer) -> None:
    names = ["a", "b", "c", "d"]
    async with moon_server.connect() as client, moon_server.connect() as other:
        hosts = [Host(c, [sums(name) for name in names]) for c in (client, other)]
        await asyncio.gather(*(host.start() for host in hosts))
        try:
            assert {home.pool for home in (await Registry(client.bus).types()).values()} == {"a"}
            assert await client.ask("d/x", Add(2)) == 2
        finally:
            for host in hosts:
                await host.stop()


async def test_a_type_older_than_pools_is_served_where_its_commands_wait(
    moon_server: MoonServer,
) -> None:
    """As an older program left it: the record, a waiting command, and its owner's consumer."""
    old = sums("old", 2)
    async with moon_server.connect() as client:
        async with Host(client, [sums("new", 2)]):
            bus = client.bus
            registry = Bucket(bus, bus.topology.bucket("registry"))
            await registry.put("type.old", b'{"partitions":2}', revision=0)
            waiting = Envelope("c-1", "old/a", "Add", msgspec.Raw(b'{"amount":5}'))
            number = (await client.registry.home("old")).partitions
            assert (number, (await client.registry.home("old")).pool) == (2, "")
            subject = bus.subjects.mailbox(AgentId("old", "a"), "medium", Home(2))
            assert len(subject.split(".")) == 6
            payload, headers = encode_envelope(waiting, "json", bus.command_limit)
            await bus.publish(subject, payload, headers=headers, timeout=5)
            partition = subject.split(".")[3]
            former: dict[str, Any] = {
                "name": f"old-p{partition}-cmd-medium-r1",
                "durable_name": f"old-p{partition}-cmd-medium-r1",
                "filter_subject": bus.subjects.lane_filter(
                    "cmd", "old", "", int(partition), "medium"
                ),
                "ack_policy": "explicit",
            }
            await bus._js.create_consumer(bus.topology.stream("mailboxes"), former)
            async with moon_server.connect() as other, Host(other, [old, sums("new", 2)]):
                assert await client.ask("old/a", Add(2)) == 7
                assert await client.query("old/a", Total()) == 7
                assert await client.ask("new/a", Add(1)) == 1


def test_a_program_older_than_pools_refuses_a_pooled_type() -> None:
    class Registered(msgspec.Struct, frozen=True):
        partitions: int

    record = b'{"pool":"one","slots":4}'
    with pytest.raises(msgspec.ValidationError, match="partitions"):
        msgspec.json.decode(record, type=Registered)
    with pytest.raises(InvalidMessage):
        decode_home(b"{")
