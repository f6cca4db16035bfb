"""The driver: what it tells, how it goes on, and that it loses nothing it was told."""

import asyncio
from typing import Any

import pytest

from moonlet.core.errors import InvalidSettings, MailboxFull, NoHost, Unknown, UnknownAgentType
from moonlet.satellites.night import depeg
from moonlet.satellites.night.audit import SentCommand
from moonlet.satellites.night.driver import drive, settle, tick
from moonlet.satellites.oracle import FeedStatus, ValidateOracleFeed
from tests.satellites.bus import Bus, Receipt

FEED = depeg()[:12]
FAST = 1_000.0


def test_progress_is_told_before_the_first_tick_and_after_each() -> None:
    seen: list[tuple[int, int]] = []
    asyncio.run(drive(Bus(), FEED, speed=FAST, progress=lambda *each: seen.append(each)))
    assert seen == [(n, 12) for n in range(13)]


def test_no_tick_is_told_before_all_of_the_beginning_is_committed() -> None:
    bus = Bus(backlog=True)
    committed: list[int] = []

    def look(done: int, of: int) -> None:
        committed.append(sum(len(commits) for commits in bus.commits.values()))

    done = asyncio.run(drive(bus, FEED, speed=FAST, progress=look))
    assert committed[0] >= sum("seed" in each.id for each in done.sent) > 30


def test_every_command_is_logged_once_with_the_id_that_stands_in_the_journal() -> None:
    bus = Bus()
    done = asyncio.run(drive(bus, FEED, speed=FAST))
    assert len({each.id for each in done.sent}) == len(done.sent)
    journal = {
        (agent, commit.command.id): commit.command.name
        for agent, commits in bus.commits.items()
        for commit in commits
    }
    assert {(each.agent, each.id): each.name for each in done.sent}.items() <= journal.items()


def test_driven_again_it_goes_on_with_the_feed_at_later_days() -> None:
    bus = Bus()

    async def twice() -> Any:
        await drive(bus, FEED, speed=FAST)
        done = await drive(bus, FEED, speed=FAST)
        return done, await bus.query("oracle/main", FeedStatus())

    done, status = asyncio.run(twice())
    assert (done.first_tick, done.ticks, status["tick"]) == (13, 12, 24)
    assert status["at"] == FEED[-1].at + 86_400
    assert all("seed" not in each.id for each in done.sent)


def test_stopped_half_way_it_goes_on_where_it_was() -> None:
    bus = Bus()

    def stop(done: int, of: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(drive(bus, FEED, speed=FAST, progress=stop))
    done = asyncio.run(drive(bus, FEED, speed=FAST))
    assert (done.first_tick, done.ticks) == (6, 7)
    ticks = [e.body["tick"] for e in bus.events("oracle/main", "OracleValidated")]
    assert ticks == list(range(1, 13))


def test_seeding_twice_does_no_harm() -> None:
    bus = Bus()

    def stop(done: int, of: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(drive(bus, FEED, speed=FAST, progress=stop))
    asyncio.run(drive(bus, FEED, speed=FAST))
    assert len(bus.events("aegis/main", "PositionAdded")) == 14


class Shaky(Bus):
    """Fails before, or after, it has stored a command, every so often."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    async def tell(
        self, agent: str, command: Any, *, id: str | None = None, timeout: float = 5.0
    ) -> Receipt:
        self.calls += 1
        if self.calls % 5 == 1:
            raise MailboxFull("the mailbox is full")
        receipt = await super().tell(agent, command, id=id)
        if self.calls % 5 == 3:
            raise Unknown("no answer", stored="maybe", command_id=receipt.id)
        return receipt

    async def query(self, agent: str, query: Any, *, timeout: float = 5.0) -> Any:
        self.calls += 1
        if self.calls < 3:
            raise UnknownAgentType("no host yet") if self.calls < 2 else NoHost("not ready")
        return await super().query(agent, query)


def test_a_bus_that_fails_now_and_then_loses_and_doubles_nothing() -> None:
    bus = Shaky()
    done = asyncio.run(drive(bus, FEED, speed=FAST))
    assert bus.calls > len(done.sent)
    assert len(done.sent) == len({each.id for each in done.sent})
    ids = [c.command.id for found in bus.commits.values() for c in found]
    assert len(ids) == len(set(ids))


def test_a_host_that_never_comes_is_said_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    class Absent(Bus):
        async def query(self, agent: str, query: Any, *, timeout: float = 5.0) -> Any:
            raise NoHost("no host runs oracle")

    monkeypatch.setattr("moonlet.satellites.night.driver.PATIENCE", 0.1)
    with pytest.raises(NoHost):
        asyncio.run(drive(Absent(), FEED))


def test_settling_gives_up_in_time_and_says_what_is_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("moonlet.satellites.night.driver.PATIENCE", 0.1)
    commits = asyncio.run(settle(Bus(), [SentCommand("never", "sage/main", "AnalyzeProtocol")]))
    assert commits["sage/main"] == []


@pytest.mark.parametrize("speed", [0.0, -1.0, float("inf"), float("nan")])
def test_a_speed_that_is_none_is_refused(speed: float) -> None:
    with pytest.raises(InvalidSettings, match="speed"):
        asyncio.run(drive(Bus(), FEED, speed=speed))


def test_ticks_count_on_and_times_rise_over_the_end_of_the_feed() -> None:
    commands = [tick(FEED, number) for number in range(30)]
    assert all(isinstance(command, ValidateOracleFeed) for command in commands)
    assert [command.tick for command in commands] == list(range(1, 31))
    times = [command.at for command in commands]
    assert times == sorted(set(times))
