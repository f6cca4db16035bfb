"""Many agents that are not in memory are asked for at once, in a journal of many others."""

import asyncio
import time
from collections.abc import Iterator, Sequence

import pytest

from moonlet.agents import Client, Host
from moonlet.agents.owner.feed import CREDIT
from moonlet.agents.recovery import Recoveries, pace, tail_reads
from moonlet.agents.recovery.journal_pass import JournalPass
from moonlet.agents.recovery.pace import Pace
from moonlet.agents.recovery.waiting_tail import WaitingTail
from moonlet.core.errors import Corrupt, Undecodable, Unknown
from moonlet.core.ids import AgentId
from moonlet.streams import StoredMessage, accept_loss
from moonlet.testing import MoonServer
from tests.agents.accounts import Deposit, Fill, GetBalance, account_type
from tests.faulty import until, until_true
from tests.journals import deposit, write_deposits


@pytest.fixture
def many_are_few(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A pass is worth it for two agents already."""
    monkeypatch.setattr(tail_reads, "PASS_WORTH", 1)
    monkeypatch.setattr(tail_reads, "PASS_FIXED", 0)
    monkeypatch.setattr(tail_reads, "READS", 2)
    yield


class Passes:
    """The passes that were begun."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun: list[JournalPass] = []
        run = JournalPass.run

        async def running(going: JournalPass) -> None:
            self.begun.append(going)
            await run(going)

        monkeypatch.setattr(JournalPass, "run", running)


async def others(moon: Client, host: Host, until_done: asyncio.Event) -> float:
    """Ask an agent that is warm, over and over; the longest that it took, in seconds."""
    longest = 0.0
    while not until_done.is_set():
        began = time.monotonic()
        await moon.ask("account/warm", Deposit(1), timeout=30)
        longest = max(longest, time.monotonic() - began)
    return longest


async def test_two_hundred_cold_agents_among_a_thousand_are_answered_at_once(
    moon_server: MoonServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes = Passes(monkeypatch)
    async with moon_server.connect() as moon, moon_server.connect() as asks:
        await write_deposits(moon, 1_000, 30)
        async with Host(moon, [account_type()]) as host:
            lease = host.id
            await asks.ask("account/warm", Deposit(1))
            done = asyncio.Event()
            beside = asyncio.create_task(others(asks, host, done))
            began = time.monotonic()
            replies = await asyncio.gather(
                *(asks.ask(f"account/s{n}", Deposit(1), timeout=60) for n in range(200))
            )
            took = time.monotonic() - began
            done.set()
            longest = await beside
            assert replies == [31] * 200
            assert len(passes.begun) == 1
            assert (host.id, host.failure) == (lease, None)
            assert took < 20 and longest < 5, (took, longest)


async def test_whoever_is_asked_for_next_was_read_in_passing(
    moon_server: MoonServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes = Passes(monkeypatch)
    monkeypatch.setattr(tail_reads, "PASS_WORTH", 4)  # on a busy machine few are looked at at once
    async with moon_server.connect() as moon, moon_server.connect() as asks:
        await write_deposits(moon, 1_000, 30)
        async with Host(moon, [account_type()]):
            free = asyncio.Semaphore(64)

            async def ask(number: int) -> object:
                async with free:
                    return await asks.ask(f"account/s{number}", Deposit(1), timeout=60)

            replies = await asyncio.gather(*(ask(number) for number in range(1_000)))
            assert replies == [31] * 1_000
            assert 1 <= len(passes.begun) <= 6


async def test_one_agent_that_can_not_be_read_stops_no_other(
    moon_server: MoonServer, many_are_few: None
) -> None:
    async with moon_server.connect() as moon:
        await write_deposits(moon, 20, 5)
        seven = AgentId("account", "s7")
        subject, before = moon.bus.subjects.journal(seven), ""
        for revision in range(1, 7):
            (payload, headers), before = deposit(seven, revision, before)
        await moon.bus.publish(subject, b"no commit", headers=None, timeout=5)
        await moon.bus.publish(f"{subject}.x", b"nobody's", headers=None, timeout=5)
        await moon.bus.publish(subject, payload, headers=headers, timeout=5)
        await write_deposits(moon, 20, 5, name="t")
        async with Host(moon, [account_type()]) as host:
            calls = [moon.ask(f"account/s{n}", Deposit(1), timeout=5) for n in range(20)]
            answers = await asyncio.gather(*calls, return_exceptions=True)
            assert [n for n, answer in enumerate(answers) if answer != 6] == [7]
            with pytest.raises(Undecodable, match="is no commit"):
                await moon.query("account/s7", GetBalance(), timeout=2)
            assert host.failure is None


async def test_what_stands_apart_is_brought_in_for_one_of_many(
    moon_server: MoonServer, many_are_few: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with moon_server.connect() as moon:
        async with Host(moon, [account_type()]):
            for n in range(10):
                await moon.ask(f"account/s{n}", Deposit(1))
            big = await moon.tell("account/s3", Fill(events=30, size=100_000))
            await big.committed(timeout=20)
            for _ in range(2):
                for n in range(10):
                    await moon.ask(f"account/s{n}", Deposit(1))
        passes = Passes(monkeypatch)
        async with Host(moon, [account_type()]):
            calls = [moon.ask(f"account/s{n}", Deposit(1)) for n in range(10)]
            assert await asyncio.gather(*calls) == [4] * 10
            assert passes.begun


async def test_a_journal_that_is_deleted_while_it_is_read_is_noticed_and_no_host_breaks(
    moon_server: MoonServer, many_are_few: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not what it was: all say so, until the loss is accepted. Then agents begin anew."""
    reading, go = asyncio.Event(), asyncio.Event()
    fold = JournalPass._fold

    async def folding(going: JournalPass, batch: list[object]) -> None:
        reading.set()
        await go.wait()
        await fold(going, batch)  # type: ignore[arg-type]

    monkeypatch.setattr(JournalPass, "_fold", folding)
    async with moon_server.connect() as moon:
        await write_deposits(moon, 500, 20)
        async with Host(moon, [account_type()]) as host:
            calls = asyncio.gather(
                *(moon.query(f"account/s{n}", GetBalance(), timeout=60) for n in range(50)),
                return_exceptions=True,
            )
            await reading.wait()
            js = moon.bus._js
            (journal,) = moon.bus.topology.journal_streams
            info = await js.stream_info(journal)
            assert info is not None
            await js.request(f"$JS.API.STREAM.DELETE.{journal}", b"", timeout=5)
            await js.create_stream(info["config"])
            go.set()
            for answer in await calls:
                assert isinstance(answer, Corrupt) or answer == 20, answer
            await accept_loss(moon.bus, journal)

            async def begins_anew() -> bool:
                try:
                    return bool(
                        await moon.ask("account/s499", Deposit(1), id="one", timeout=5) == 1
                    )
                except (Corrupt, Unknown):
                    return False

            await until_true(begins_anew, within=40)
            assert host.failure is None


async def test_who_joins_while_a_batch_is_folded_misses_none_of_it(
    moon_server: MoonServer, many_are_few: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    joined: list[bool] = []
    handed_back: list[object] = []
    asked: list[asyncio.Task[object]] = []
    rests: list[int] = []
    going_on: list[JournalPass] = []
    fold, join, rest = JournalPass._fold, JournalPass.join, Pace.rest

    async def folding(going: JournalPass, batch: Sequence[StoredMessage]) -> None:
        going_on.append(going)
        await fold(going, batch)
        going_on.pop()

    def joining(going: JournalPass, one: WaitingTail) -> bool:
        has_joined = join(going, one)
        if one.tail.agent.key == "s19":
            joined.append(has_joined)
        return has_joined

    async with moon_server.connect() as moon:
        await write_deposits(moon, 20, 60)

        async def resting(pace: Pace) -> None:
            await rest(pace)
            rests.extend([1] * len(going_on))
            if len(rests) >= 60 and not asked:  # of all something has come by, and more will
                query = moon.query("account/s19", GetBalance(), timeout=60)
                asked.append(asyncio.create_task(query))
                await until(lambda: bool(joined))

        monkeypatch.setattr(pace, "SLICE_COMMITS", 1)
        monkeypatch.setattr(JournalPass, "_fold", folding)
        monkeypatch.setattr(JournalPass, "_hand_back", lambda self, one: handed_back.append(one))
        monkeypatch.setattr(JournalPass, "join", joining)
        monkeypatch.setattr(Pace, "rest", resting)
        async with Host(moon, [account_type()]):
            calls = [moon.query(f"account/s{n}", GetBalance(), timeout=60) for n in range(15)]
            assert await asyncio.gather(*calls) == [60] * 15
            assert await asked[0] == 60
    assert joined[0] and not handed_back


async def test_nobody_waits_behind_commands_of_agents_that_are_being_read(
    moon_server: MoonServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, go_on = Recoveries.recover, asyncio.Event()

    async def slowly(self: Recoveries, type_: object, agent: AgentId, urgency: object) -> object:
        if agent.key != "warm":
            await go_on.wait()
        return await read(self, type_, agent, urgency)  # type: ignore[arg-type]

    monkeypatch.setattr(Recoveries, "recover", slowly)
    async with moon_server.connect() as moon, Host(moon, [account_type(partitions=1)]) as host:
        await moon.ask("account/warm", Deposit(1))
        cold = [
            asyncio.create_task(moon.ask(f"account/s{n}", Deposit(1), timeout=60))
            for n in range(3 * CREDIT["medium"])
        ]
        await until(lambda: host.agents >= CREDIT["medium"], within=20)
        for _ in range(10):
            await moon.ask("account/warm", Deposit(1), timeout=10)
        go_on.set()
        assert await asyncio.gather(*cold) == [1] * len(cold)


async def test_what_is_critical_does_not_wait_for_the_end_of_a_pass(
    moon_server: MoonServer, many_are_few: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    fold, passes_on, begun = JournalPass._fold, asyncio.Event(), asyncio.Event()

    async def folding(going: JournalPass, batch: Sequence[StoredMessage]) -> None:
        begun.set()
        await passes_on.wait()
        await fold(going, batch)

    monkeypatch.setattr(JournalPass, "_fold", folding)
    monkeypatch.setattr(tail_reads, "WIDE", 10)
    async with moon_server.connect() as moon:
        await write_deposits(moon, 20, 60)
        async with Host(moon, [account_type()]):
            calls = [moon.query(f"account/s{n}", GetBalance(), timeout=60) for n in range(15)]
            many = asyncio.gather(*calls)
            async with asyncio.timeout(20):
                await begun.wait()
            later = asyncio.create_task(moon.ask("account/s18", Deposit(1), timeout=60))
            urgent = moon.ask("account/s19", Deposit(1), lane="critical", timeout=20)
            assert await urgent == 61
            assert not later.done() and not many.done()
            passes_on.set()
            assert await later == 61 and await many == [60] * 15
