"""Hosts whose clocks are off: they say so, give way, and time is the server's for all that."""

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from moonlet.agents import (
    AgentType,
    Client,
    Context,
    Decision,
    HistoryFault,
    Host,
    Reply,
    Schedule,
    Verification,
)
from moonlet.agents.services import ServerTime
from moonlet.console.doctor.presence import PresenceChecks
from moonlet.core.errors import Expired
from moonlet.core.hlc import HybridClock
from moonlet.core.ids import AgentId
from moonlet.streams import Bus, Leases, SystemClock, read_messages, stream_names
from moonlet.streams.buckets import Entry
from moonlet.testing import MoonServer
from tests.faulty import until, until_true

HOURS = 3 * 3_600.0


class OddClock:
    """A clock that is so many seconds ahead; they can be changed."""

    def __init__(self, ahead: float) -> None:
        self.ahead = ahead

    def now_us(self) -> int:
        return SystemClock().now_us() + int(self.ahead * 1e6)

    def monotonic(self) -> float:
        return SystemClock().monotonic()


class Wake(msgspec.Struct, frozen=True):
    """Fire in a second; the reply is the handler's `now`."""


class Woken(msgspec.Struct, frozen=True):
    """The firing, and its event."""


class Naps(msgspec.Struct, frozen=True):
    """How many have ended."""

    count: int = 0


def napper_type(partitions: int = 4) -> AgentType[Naps]:
    """An agent that sets timers."""
    napper = AgentType("napper", Naps, partitions=partitions)

    @napper.on_command
    def wake(state: Naps, command: Wake, context: Context) -> Decision:
        yield Schedule(Woken(), after=1.0, name=f"n{context.revision}")
        yield Reply(context.now_us)

    @napper.on_command
    def woken(state: Naps, command: Woken) -> Decision:
        yield command

    @napper.on_event
    def noted(state: Naps, event: Woken) -> Naps:
        return Naps(state.count + 1)

    return napper


@asynccontextmanager
async def odd_host(
    moon: Client, napper: AgentType[Naps], clock: OddClock, *, lease: int = 1
) -> AsyncIterator[Host]:
    """A host with that clock, over the client's connection."""
    bus = moon.bus

    async def opened() -> Bus:
        return Bus(bus._js, clock, bus.entropy, topology=bus.topology)

    async with Client(opened) as odd, Host(odd, [napper], lease=lease) as host:
        yield host


async def test_a_host_that_could_not_measure_the_servers_time_takes_nothing(
    moon_server: MoonServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look at the leases may be stale, of an old leader: then it is looked at again."""
    stored, looks = Leases.stored, 0

    def stale(self: Leases, host: str) -> Entry | None:
        nonlocal looks
        looks += 1
        return stored(self, host) if looks > 3 else None

    monkeypatch.setattr(Leases, "stored", stale)
    napper = napper_type()
    async with (
        moon_server.connect(agents=[napper]) as moon,
        odd_host(moon, napper, OddClock(HOURS)),
    ):
        await fires_in_time(moon, "napper/a")
        assert looks > 3
        assert await verified(moon, napper) == []


def away(now_us: int) -> float:
    """Seconds from our clock, which is right."""
    return abs(now_us / 1e6 - datetime.now(UTC).timestamp())


async def verified(moon: Client, napper: AgentType[Naps]) -> list[HistoryFault]:
    """What verifying finds, deciding all again."""
    verification = Verification({napper.name: napper})
    agent, stream = AgentId.parse("napper/a"), moon.bus.topology.journal_of(napper.name)
    verification.meet(agent, stream, None)
    found: list[HistoryFault | None] = []
    async with aclosing(read_messages(moon.bus, stream, moon.bus.subjects.journal(agent))) as read:
        async for batch in read:
            found += [verification.take(agent, message) for message in batch]
    return [fault for fault in [*found, *verification.finish()] if fault is not None]


async def fires_in_time(moon: Client, agent: str) -> None:
    """A timer of a second is neither early nor late, and `now` is right."""
    before = (await moon.state(agent)).count
    assert away(await moon.ask(agent, Wake(), timeout=10)) < 2

    async def fired() -> bool:
        return bool((await moon.state(agent)).count > before)

    await until_true(fired)
    setting, firing = [c async for c in moon.history(agent)][-2:]
    assert firing.command.timer
    assert 0.9 < (firing.wall_us - setting.wall_us) / 1e6 < 4


@pytest.mark.parametrize("ahead", [HOURS, -HOURS], ids=["ahead", "behind"])
async def test_with_a_clock_hours_off_times_timers_and_deadlines_are_the_servers(
    moon_server: MoonServer, ahead: float
) -> None:
    napper = napper_type()
    async with moon_server.connect(agents=[napper]) as moon:
        async with odd_host(moon, napper, OddClock(ahead)) as host:
            await fires_in_time(moon, "napper/a")
            soon, past = (datetime.now(UTC) + timedelta(seconds=s) for s in (60, -60))
            await moon.ask("napper/b", Wake(), deadline=soon)
            with pytest.raises(Expired):
                await moon.ask("napper/b", Wake(), deadline=past)
            assert host.services.alarms["this host's clock is off"] >= 1
        async with Host(moon, [napper], lease=1):  # and when it is mended
            await fires_in_time(moon, "napper/a")
            await fires_in_time(moon, "napper/fresh")
        for agent in ("napper/a", "napper/b"):
            times = [commit.time async for commit in moon.history(agent)]
            assert times == sorted(set(times))
            assert all(away(time.micros) < 30 for time in times)


async def test_a_clock_that_jumps_under_a_host_moves_nothing(moon_server: MoonServer) -> None:
    napper, clock = napper_type(), OddClock(0)
    async with moon_server.connect(agents=[napper]) as moon:
        async with odd_host(moon, napper, clock) as host:
            for ahead in (HOURS, -HOURS, 0.0):
                clock.ahead = ahead
                await fires_in_time(moon, "napper/a")
            assert host.partitions


async def test_a_host_whose_clock_is_off_gives_way_to_one_whose_is_right(
    moon_server: MoonServer,
) -> None:
    napper, clock = napper_type(), OddClock(15)
    async with moon_server.connect(agents=[napper]) as moon:
        async with odd_host(moon, napper, clock, lease=2) as odd:
            assert odd.partitions == [], "others may just be starting"
            await until(lambda: len(odd.partitions) == 4)  # nobody else is there
            async with Host(moon, [napper], lease=2) as right:
                await until(lambda: len(right.partitions) == 4)
                assert odd.partitions == []
                names = await stream_names(moon.bus)
                told = await PresenceChecks(moon.bus, names, is_ours=False).hosts()
                said = f"clocks are off: {odd.id} by +15 s"
                assert [finding.message for finding in told[1:]] == [said]
                await fires_in_time(moon, "napper/a")
                clock.ahead = 2  # still worth a word, and no reason to stand back
                await until(lambda: len(odd.partitions) == len(right.partitions) == 2)
                clock.ahead = 15
                await until(lambda: len(right.partitions) == 4)
            await until(lambda: len(odd.partitions) == 4)
            await fires_in_time(moon, "napper/a")


async def test_an_agent_whose_time_was_dragged_ahead_is_not_late(
    moon_server: MoonServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a host of an older version, or before the server's own clock was mended."""
    napper, measure = napper_type(), ServerTime.measure

    def ahead(self: ServerTime, asked: float, answered: float, stamped_ns: int) -> None:
        measure(self, asked, answered, stamped_ns + int(HOURS * 1e9))

    async with moon_server.connect(agents=[napper]) as moon:
        with monkeypatch.context() as believed:
            believed.setattr(ServerTime, "measure", ahead)
            async with odd_host(moon, napper, OddClock(HOURS)):
                assert away(await moon.ask("napper/a", Wake())) > HOURS - 60
        async with Host(moon, [napper], lease=1):
            await fires_in_time(moon, "napper/a")
            with pytest.raises(Expired):
                past = datetime.now(UTC) - timedelta(seconds=60)
                await moon.ask("napper/a", Wake(), deadline=past)
            soon = datetime.now(UTC) + timedelta(seconds=60)
            await moon.ask("napper/a", Wake(), deadline=soon)
            await fires_in_time(moon, "napper/beside")  # which its host drags nowhere
        commits = [commit async for commit in moon.history("napper/a")]
        assert [c.time for c in commits] == sorted({c.time for c in commits})
        assert all(away(commit.wall_us) < 60 for commit in commits[1:])
        assert await verified(moon, napper) == []


def test_what_is_known_of_the_servers_time_moves_no_further_than_it_must() -> None:
    clock, hlc = OddClock(0), HybridClock()
    known = ServerTime(clock, hlc)
    assert known.off == 0.0
    known.measure(100.0, 100.2, 1_000_000_000_000)
    assert hlc.offset_us == 900_000_000 - 100_000  # in the middle
    known.measure(200.0, 205.0, 1_101_000_000_000)  # a slow answer: that is possible
    assert hlc.offset_us == 900_000_000 - 100_000
    known.measure(300.0, 300.1, 1_201_000_000_000)
    assert hlc.offset_us == 901_000_000 - 100_000


def test_a_slow_answer_is_no_wrong_clock() -> None:
    clock, hlc = OddClock(0), HybridClock()
    known, now = ServerTime(clock, hlc), clock.monotonic()
    known.measure(now - 20.0, now, int((clock.now_us() - 19_000_000) * 1_000))
    assert known.off == 0.0
    known.measure(now - 0.01, now, int((clock.now_us() - 4_000_000) * 1_000))
    assert 3.9 < known.off < 4.1
