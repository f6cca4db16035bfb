"""Timers, lanes, back-pressure: what is due comes, what is urgent overtakes, nothing deadlocks."""

import asyncio
from typing import Any

import msgspec
import pytest

from moonlet.agents import (
    AgentType,
    Client,
    Context,
    Decision,
    Host,
    Perform,
    PerformFailed,
    Send,
    connect,
)
from moonlet.agents.calls import call_runner
from moonlet.core.errors import MailboxFull
from moonlet.core.ids import AgentId
from moonlet.streams import Topology
from moonlet.streams.server.server_process import ServerProcess
from tests.agents.accounts import (
    Account,
    Announce,
    Deposit,
    DepositLater,
    Forget,
    GetBalance,
    account_type,
)
from tests.checkers import check_sends, histories
from tests.e2e.test_promises_once import balance_is, die
from tests.faulty import FaultyMoon, until, until_true


async def test_a_timer_fires_after_a_restart_of_everything(
    own_server: ServerProcess, name: str
) -> None:
    account = account_type()
    async with connect(own_server.url, topology=Topology(prefix=name)) as moon:
        async with Host(moon, [account]):
            await moon.ask("account/a", DepositLater(5, after=0.5))
    own_server.kill()
    own_server.start()
    async with connect(own_server.url, topology=Topology(prefix=name)) as moon:
        async with Host(moon, [account]):
            await balance_is(moon, "account/a", 5)
            fired = [c async for c in moon.history("account/a")][1].command
            assert (fired.timer, fired.number) == ("deposit", 1)


async def test_a_cancelled_timer_does_not_fire_and_a_replaced_one_fires_once(
    shared_server: ServerProcess, name: str
) -> None:
    account = account_type()
    async with connect(shared_server.url, topology=Topology(prefix=name)) as moon:
        async with Host(moon, [account]):
            await moon.ask("account/a", DepositLater(1, after=0.3, name="one"))
            await moon.ask("account/a", Forget("one"))
            await moon.ask("account/a", DepositLater(10, after=0.3, name="two"))
            await moon.ask("account/a", DepositLater(100, after=0.4, name="two"))
            await moon.ask("account/a", DepositLater(1000, after=0.6, name="last"))
            await balance_is(moon, "account/a", 1100)


async def test_a_firing_that_comes_late_or_twice_is_only_acknowledged(
    shared_server: ServerProcess, name: str
) -> None:
    account = account_type()
    async with connect(shared_server.url, topology=Topology(prefix=name)) as moon:
        async with Host(moon, [account]):
            agent = AgentId.parse("account/a")
            await moon.ask("account/a", DepositLater(1, after=60, name="far"))
            subject = moon.bus.subjects.timer(agent, "far", 1)
            stream = moon.bus.topology.stream("timers")

            async def stands() -> bool:
                return await moon.bus._js.last_message(stream, subject) is not None

            await until_true(stands)
            schedule = await moon.bus._js.last_message(stream, subject)
            assert schedule is not None
            fire = moon.bus.subjects.fire(agent, await moon.registry.home("account"))
            for _ in range(3):  # as a server does that fires once too often
                await moon.bus.publish(fire, schedule.data, timeout=5)
            await balance_is(moon, "account/a", 1)
            await moon.ask("account/a", Forget("far"))
            await moon.bus.publish(fire, schedule.data, timeout=5)
            assert await moon.ask("account/a", Deposit(1)) == 2

            async def consumed() -> bool:
                return await moon.bus._js.stream_subjects(stream, fire) == {}

            await until_true(consumed)
            assert len([c async for c in moon.history("account/a")]) == 4


async def test_an_open_timer_whose_schedule_was_lost_is_set_again_at_recovery(
    shared_server: ServerProcess, name: str
) -> None:
    account = account_type()
    async with connect(shared_server.url, topology=Topology(prefix=name)) as moon:
        async with Host(moon, [account]):
            await moon.ask("account/a", DepositLater(1, after=5.0))
            for _ in range(2):  # the commit that set it is no more one whose effects may be due
                await moon.ask("account/a", Deposit(2))
        stream = moon.bus.topology.stream("timers")
        subject = moon.bus.subjects.timer(AgentId.parse("account/a"), "deposit", 1)
        assert await moon.bus._js.purge_stream(stream, subject) == 1
        async with Host(moon, [account]):
            assert await moon.query("account/a", GetBalance()) == 4
            await balance_is(moon, "account/a", 5)


async def test_one_full_mailbox_does_not_keep_another_agents_timer(
    shared_server: ServerProcess, name: str
) -> None:
    account = account_type(partitions=1)
    topology = Topology(prefix=name, mailbox=20)
    async with connect(shared_server.url, topology=topology) as moon:
        async with Host(moon, [account]):
            await moon.ask("account/full", Deposit(1))
            await moon.order("account/full", "stop")
            for _ in range(20):
                await moon.tell("account/full", Deposit(1))
            try:
                await moon.tell("account/full", Deposit(1))
                raise AssertionError("the mailbox should be full")
            except MailboxFull:
                pass
            await moon.ask("account/a", DepositLater(5, after=0.2))
            await balance_is(moon, "account/a", 5)


async def test_a_critical_command_overtakes_thousands_of_queued_low_ones(
    shared_server: ServerProcess, name: str
) -> None:
    account = account_type(partitions=1)
    async with connect(shared_server.url, topology=Topology(prefix=name)) as moon:
        async with Host(moon, [account]):
            await moon.ask("account/a", Deposit(1))
        count = 10_000
        for start in range(0, count, 1_000):
            await asyncio.gather(
                *(
                    moon.tell("account/a", Deposit(1), lane="low", timeout=60)
                    for _ in range(start, start + 1_000)
                )
            )
        async with Host(moon, [account]):
            urgent = await moon.tell("account/a", Deposit(1), lane="critical")
            commit = await urgent.committed(timeout=30)
            assert commit.revision < 1 + count / 4, commit.revision

            async def drained() -> bool:
                last = await moon.bus._js.last_message(
                    moon.bus.topology.journal_of("account"),
                    moon.bus.subjects.journal(AgentId.parse("account/a")),
                )
                return last is not None and last.sequence >= count + 2

            await until_true(drained, within=60)
            assert await moon.query("account/a", GetBalance()) == count + 2


async def test_low_is_not_starved_by_higher_lanes(shared_server: ServerProcess, name: str) -> None:
    account = account_type(partitions=1)
    async with connect(shared_server.url, topology=Topology(prefix=name)) as moon:
        async with Host(moon, [account]):
            await moon.ask("account/a", Deposit(1))
        low = [await moon.tell("account/a", Deposit(1), lane="low") for _ in range(3)]
        await asyncio.gather(
            *(moon.tell("account/a", Deposit(1), lane="critical") for _ in range(400))
        )
        async with Host(moon, [account]):
            revisions = [(await receipt.committed(timeout=20)).revision for receipt in low]
            # In order, and the first of them long before the last critical one.
            assert revisions == sorted(revisions) and revisions[0] < 350


class Ping(msgspec.Struct, frozen=True):
    left: int


class Pinged(msgspec.Struct, frozen=True):
    pass


def flooding_type() -> AgentType[Account]:
    """Each ping makes two more, until none is left: a cycle of two agents."""
    player = AgentType("player", Account)

    @player.on_command
    def ping(state: Account, command: Ping, context: Context) -> Decision:
        yield Pinged()
        other = "player/b" if context.self_id == "player/a" else "player/a"
        if command.left:
            yield Send(other, Ping(command.left - 1))
            yield Send(context.self_id, Ping(command.left - 1))

    @player.on_event
    def pinged(state: Account, event: Pinged) -> Account:
        return msgspec.structs.replace(state, balance=state.balance + 1)

    @player.on_query
    def get_balance(state: Account, query: GetBalance) -> int:
        return state.balance

    return player


async def test_two_agents_that_flood_each_other_with_full_mailboxes_do_not_deadlock(
    shared_server: ServerProcess, name: str
) -> None:
    """The internal queue is bounded in total, so cycles go on while clients are refused."""
    depth = 7
    topology = Topology(prefix=name, mailbox=5, internal=2_000)
    async with connect(shared_server.url, topology=topology) as moon:
        async with Host(moon, [flooding_type()]):
            await moon.tell("player/a", Ping(depth))
            await moon.tell("player/b", Ping(depth))

            async def all_done() -> bool:
                total: int = 0
                for agent in ("player/a", "player/b"):
                    total += await moon.query(agent, GetBalance(), timeout=20)
                return total == 2 * ((1 << depth + 1) - 1)

            await until_true(all_done, within=60)
            check_sends(await histories(moon, ["player/a", "player/b"]))


async def test_effects_wait_while_the_internal_queue_is_full_and_then_go_out(
    shared_server: ServerProcess, name: str
) -> None:
    player = flooding_type()
    topology = Topology(prefix=name, internal=3)
    async with connect(shared_server.url, topology=topology) as moon:
        async with Host(moon, [player]) as host:
            await moon.tell("player/a", Ping(0))
            await moon.order("player/b", "stop")
            for _ in range(4):
                await moon.tell("player/a", Ping(1))

            async def alarmed() -> bool:
                return "internal queue full" in host.services.alarms

            await until_true(alarmed)
            await moon.order("player/b", "start")

            async def done() -> bool:
                counts = [
                    await moon.query(agent, GetBalance(), timeout=20)
                    for agent in ("player/a", "player/b")
                ]
                return counts == [9, 4]

            await until_true(done, within=30)
            check_sends(await histories(moon, ["player/a", "player/b"]))


class Fetch(msgspec.Struct, frozen=True):
    what: str


class Fetched(msgspec.Struct, frozen=True):
    value: int


class Start(msgspec.Struct, frozen=True):
    what: str


class Noted(msgspec.Struct, frozen=True):
    text: str


class Notes(msgspec.Struct, frozen=True):
    texts: tuple[str, ...] = ()


def fetcher_type(ran: list[str]) -> AgentType[Notes]:
    fetcher = AgentType("fetcher", Notes)

    @fetcher.on_command
    def start(state: Notes, command: Start) -> Decision:
        yield Perform(Fetch(command.what))

    @fetcher.on_perform
    async def fetch(call: Fetch, call_id: str) -> Fetched:
        ran.append(call_id)
        if call.what == "nothing":
            raise LookupError("nothing there")
        return Fetched(len(call.what))

    @fetcher.on_command
    def fetched(state: Notes, command: Fetched) -> Decision:
        yield Noted(f"got {command.value}")

    @fetcher.on_command
    def failed(state: Notes, command: PerformFailed) -> Decision:
        yield Noted(f"failed {command.error}")

    @fetcher.on_event
    def noted(state: Notes, event: Noted) -> Notes:
        return Notes((*state.texts, event.text))

    return fetcher


async def texts(moon: Client, agent: str, count: int) -> tuple[str, ...]:
    async def there() -> bool:
        return len((await moon.state(agent)).texts) == count

    await until_true(there)
    state: Any = await moon.state(agent)
    return tuple(state.texts)


async def test_a_call_runs_and_its_result_is_one_more_command(
    shared_server: ServerProcess, name: str
) -> None:
    ran: list[str] = []
    async with connect(shared_server.url, topology=Topology(prefix=name)) as moon:
        async with Host(moon, [fetcher_type(ran)]):
            await moon.tell("fetcher/a", Start("price"))
            assert await texts(moon, "fetcher/a", 1) == ("got 5",)
            await moon.tell("fetcher/a", Start("nothing"))
            assert await texts(moon, "fetcher/a", 2) == (
                "got 5",
                "failed LookupError: nothing there",
            )
            assert ran == ["fetcher/a:1.0", "fetcher/a:3.0"]
        async with Host(moon, [fetcher_type(ran)]):  # a replay fires no call
            assert len((await moon.state("fetcher/a")).texts) == 2
            await moon.ask("fetcher/a", Start("again"))
            assert await texts(moon, "fetcher/a", 3)
            assert len(ran) == 3


async def test_a_call_whose_host_died_runs_again_and_its_result_counts_once(
    shared_server: ServerProcess, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call_runner, "ACK_WAIT", 1.0)
    ran: list[str] = []
    results: list[tuple[str, bytes]] = []

    def lose_answers_to_results(subject: str, data: bytes) -> str:
        if ".in." not in subject:
            return "pass"
        results.append((subject, data))
        return "lose ack"

    async with connect(shared_server.url, topology=Topology(prefix=name)) as moon:
        async with FaultyMoon(shared_server.url, name) as (dying, faults):
            host = Host(dying, [fetcher_type(ran)], lease=1)
            await host.start()
            # The result is stored, but its answer and the call's acknowledgement are lost.
            faults.publishing = lose_answers_to_results
            await moon.tell("fetcher/a", Start("price"))
            assert await texts_of(moon, fetcher_type(ran), "fetcher/a") == ("got 5",)
            await die(host)
        async with Host(moon, [fetcher_type(ran)], lease=1):
            await until(lambda: len(ran) == 2)
            assert ran[0] == ran[1], "the same call"
            subject, data = results[0]  # and its result again, when the server forgot its id
            await moon.bus.publish(subject, data, timeout=5)
            await moon.ask("fetcher/a", Start("prices"), timeout=15)
            assert await texts(moon, "fetcher/a", 2) == ("got 5", "got 6")


async def texts_of(moon: Client, agent_type: AgentType[Notes], agent: str) -> tuple[str, ...]:
    """The same on a client without a host."""
    moon.learn(agent_type)
    return await texts(moon, agent, 1)


async def test_a_topic_holds_what_agents_publish(shared_server: ServerProcess, name: str) -> None:
    async with connect(shared_server.url, topology=Topology(prefix=name)) as moon:
        async with Host(moon, [account_type()]):
            await moon.ask("account/a", Announce("news.prices", "up"))
            subject = moon.bus.subjects.topic("news.prices")
            stream = moon.bus.topology.stream("topics")

            async def published() -> bool:
                return await moon.bus._js.last_message(stream, subject) is not None

            await until_true(published)
            message = await moon.bus._js.last_message(stream, subject)
            assert message is not None and message.headers is not None
            assert msgspec.json.decode(message.data) == {"text": "up"}
            assert message.headers["Moonlet-Agent"] == "account/a"
