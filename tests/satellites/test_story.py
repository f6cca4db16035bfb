"""The night of the depeg on a bus in memory: all eight take part, and what must hold, holds."""

import asyncio
from collections.abc import Sequence
from itertools import pairwise
from random import Random
from typing import Any

import msgspec
import pytest

from moonlet.core.commit import plain
from moonlet.satellites import SATELLITES
from moonlet.satellites.aegis.positions import booked, per_protocol
from moonlet.satellites.night import AGENTS, Drive, Report, drive, report
from moonlet.satellites.night.audit import audit
from moonlet.satellites.night.feed import Quote, depeg
from tests.satellites.bus import Bus

FAST = 1_000.0


def night(bus: Bus, feed: Sequence[Quote] | None = None) -> tuple[Bus, Drive, Report]:
    done = asyncio.run(drive(bus, feed if feed is not None else depeg(), speed=FAST))
    return bus, done, report(done.commits, done.sent)


@pytest.fixture(scope="module")
def calm() -> tuple[Bus, Drive, Report]:
    """The night as it is told: every tick is dealt with before the next."""
    return night(Bus())


def test_all_eight_take_part_and_nothing_is_parked(calm: tuple[Bus, Drive, Report]) -> None:
    bus, done, told = calm
    assert sorted(done.commits) == sorted(AGENTS)
    assert all(len(commits) > 60 for commits in done.commits.values())
    assert set(told.outcomes) == {"accepted", "rejected"}
    assert {agent_type.name for agent_type in SATELLITES} == set(bus.types)


def test_the_driver_tells_oracle_alone_once_the_night_has_begun(
    calm: tuple[Bus, Drive, Report],
) -> None:
    _, done, _ = calm
    ticks = [each for each in done.sent if "tick" in each.id]
    assert len(ticks) == done.ticks == 66
    assert {each.agent for each in ticks} == {"oracle/main"}


def test_the_story_happens(calm: tuple[Bus, Drive, Report]) -> None:
    _, _, told = calm
    for event, times in {
        "OracleValidated": 66,
        "AnomalyDetected": 8,
        "NarrativeEmergence": 1,
        "RegulatoryChangeDetected": 1,
        "SandwichDetected": 1,
        "TxRebuilt": 1,
        "TaxLossHarvestProposed": 3,
        "TaxLossHarvested": 3,
        "WashSaleBlocked": 1,
        "ExecutionFailed": 1,
    }.items():
        assert told.events[event] == times, event
    for event in ("SustainabilityAlert", "RebalanceExecuted", "ProtocolAnalysisCompleted"):
        assert told.events[event] > 3
    assert (told.saga.compensated, told.saga.failed) == (1, 0)
    assert told.saga.completed > 3
    assert {line.level for line in told.alerts if line.count} == {
        "safe",
        "warning",
        "critical",
        "emergency",
    }
    assert {"AddPosition", "GrantApproval"} <= {line.command for line in told.refusals}


def test_every_alert_about_a_price_has_its_time(calm: tuple[Bus, Drive, Report]) -> None:
    _, _, told = calm
    for line in told.alerts:
        assert line.median_ms is not None and line.worst_ms is not None
        assert 0 < line.median_ms <= line.worst_ms


def check(bus: Bus, done: Drive, told: Report) -> None:
    """What must hold in whatever order messages arrive."""
    assert "parked" not in told.outcomes
    found = audit(done.commits, done.sent)
    assert (found.lost, found.doubled, found.strays) == ((), (), ())
    assert told.trades
    assert all(line.approved_by for line in told.trades)
    assert len({line.approval for line in told.trades}) == len(told.trades)
    ledger = told.ledger
    assert (ledger.balance, ledger.unbalanced) == (0, 0)
    assert sum(ledger.balances.values()) == 0
    assert ledger.balances.get("transit:capital", 0) == 0
    assert all(v >= 0 for name, v in ledger.balances.items() if name.startswith("cash:"))
    guard, books, growth = bus.state("aegis/main"), bus.state("fuel/main"), bus.state("pulse/main")
    totals = booked(guard.positions.values(), guard.reserved)
    assert max(totals.values()) <= per_protocol(guard.capital)
    assert (
        sum(each.debt for each in guard.positions.values()) == -ledger.balances["loans:positions"]
    )
    owing = [p for id, p in guard.positions.items() if not id.startswith("yield-")]
    assert sum(each.collateral for each in owing) == books.collateral
    held = {p.protocol: p.collateral for id, p in guard.positions.items() if id[:6] == "yield-"}
    assert held == growth.held
    assert guard.reserved == {} and growth.moves == {} and bus.state("forge/main").plans == {}
    assert bus.state("bridge/main").execution is None
    alerts = [event.body["alert"] for event in bus.events("aegis/main", "RiskAlert")]
    assert alerts == list(range(1, len(alerts) + 1))


def test_what_the_satellites_believe_of_each_other_is_true(
    calm: tuple[Bus, Drive, Report],
) -> None:
    check(*calm)


@pytest.mark.parametrize("seed", range(12))
def test_it_holds_in_any_order_of_arrival(seed: int) -> None:
    check(*night(Bus(order=Random(seed))))


@pytest.mark.parametrize("seed", range(6))
def test_it_holds_when_all_ticks_wait_for_a_host(seed: int) -> None:
    check(*night(Bus(order=Random(seed) if seed else None, backlog=True)))


def test_a_venue_that_is_silent_at_first_delays_a_transfer_and_loses_nothing() -> None:
    bus, done, told = night(Bus(broken_calls=3))
    check(bus, done, told)
    assert told.events["BridgeIncident"] == 4


def test_one_feed_gives_one_history(calm: tuple[Bus, Drive, Report]) -> None:
    def history(done: Drive) -> list[Any]:
        return [msgspec.json.encode(plain(c)) for agent in AGENTS for c in done.commits[agent]]

    assert history(calm[1]) == history(night(Bus())[1])


def test_replayed_from_its_commits_every_state_is_what_it_was(
    calm: tuple[Bus, Drive, Report],
) -> None:
    bus, done, _ = calm
    for agent, commits in done.commits.items():
        behavior = bus.agents[agent].type.behavior
        state = behavior.initial()
        for event in (event for commit in commits for event in commit.events):
            state = behavior.evolve_stored(state, event, "json")
        assert state == bus.state(agent), agent


def test_a_state_survives_a_snapshot(calm: tuple[Bus, Drive, Report]) -> None:
    bus, _, _ = calm
    for agent in bus.agents.values():
        stored = agent.type.encode_state(agent.fold.state)
        assert agent.type.decode_state(stored) == agent.fold.state


def test_a_rising_feed_raises_no_alert_and_sells_nothing() -> None:
    feed = [Quote(1_678_478_400 + 3_600 * n, 1_000_000 + 100 * n) for n in range(40)]
    _, _, told = night(Bus(), feed)
    assert sum(line.count for line in told.alerts) == 0
    assert told.trades == ()
    assert told.ledger.balance == 0


def test_alerts_follow_the_feed_alone(calm: tuple[Bus, Drive, Report]) -> None:
    """The falls of a position that nobody sells can be counted from the prices."""
    bus, done, _ = calm
    prices = [
        e.body["price"] for e in bus.events("oracle/main", "OracleValidated") if e.body["is_valid"]
    ]
    p10 = bus.state("aegis/main").positions["p10"]

    def health(price: int) -> int:
        return int(p10.collateral * price // 10**6 * p10.threshold // p10.debt)

    path = [health(1_003_000), *(health(price) for price in prices)]
    falls = sum(before >= 15_000 > after for before, after in pairwise(path))
    raised = [e for e in bus.events("aegis/main", "RiskAlert") if e.body["subject"] == "p10"]
    assert falls == len(raised) > 0
    assert done.first_tick == 1
