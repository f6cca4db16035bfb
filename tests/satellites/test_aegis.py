"""Aegis: levels, alerts, limits, approvals, what-if runs."""

from typing import Any

import pytest
from hypothesis import example, settings
from hypothesis import given as for_all
from hypothesis import strategies as st
from msgspec.structs import replace

from moonlet.satellites import aegis
from moonlet.satellites.aegis.messages import (
    AcknowledgeAlert,
    AddPosition,
    AlertAcknowledged,
    ExecuteLiquidation,
    GetAlerts,
    GetPositionHealth,
    MonteCarloCompleted,
    PositionAdded,
    PositionUpdated,
    ReductionRequested,
    RemovePosition,
    RiskAlert,
    RunMonteCarloSimulation,
    RunStressTest,
    SetCapital,
    StressTestCompleted,
    TradeApproved,
    TradeRefused,
    UpdatePosition,
)
from moonlet.satellites.aegis.positions import (
    DEBT_FREE,
    MAX_BOOK,
    MAX_POSITIONS,
    Position,
    booked,
    depth,
    entered,
    health,
    per_protocol,
    to_sell,
)
from moonlet.satellites.aegis.stress import SCENARIOS
from moonlet.satellites.common import MICRO
from moonlet.satellites.messages import (
    Prices,
    ProtocolRating,
    RequestApproval,
    Trade,
    TradeExecuted,
    TradeFailed,
)
from moonlet.testing import given
from tests.satellites.play import Play

DOLLAR = MICRO
K = 1_000 * MICRO


def position(id: str = "p1", protocol: str = "aave", tokens: int = 100, at: int = 12_000) -> Any:
    """A position of so many thousand tokens whose health is `at` while the price is a dollar."""
    return AddPosition(id, protocol, "USDC", tokens * K, tokens * K * 8_500 // at, 8_500, DOLLAR)


def desk(*commands: Any) -> Play[Any]:
    play = Play(aegis)
    play.do(SetCapital(4_000 * K))
    for command in commands:
        assert play.do(command).outcome == "accepted"
    return play


def price(play: Play[Any], thousandths: int, tick: int) -> Any:
    return play.do(Prices("USDC", thousandths * 1_000, tick, tick * 60), sender="oracle/main")


def alerts(step: Any) -> list[tuple[str, str, int]]:
    return [(a.kind, a.level, a.alert) for a in step.of(RiskAlert)]


def test_a_position_is_added_with_its_health() -> None:
    given(aegis).when(SetCapital(4_000 * K)).then(rejected=None)
    play = desk()
    step = play.do(position(at=10_600))
    assert step.of(PositionAdded)[0].health == 10_600
    assert step.reply == 10_600
    assert step.of(RiskAlert) == []  # it began below two levels, and fell through none
    assert play.ask(GetPositionHealth("p1"))["p1"]["level"] == "critical"


@pytest.mark.parametrize(
    ("before", "after", "levels"),
    [
        (15_000, 14_999, ["safe"]),
        (15_001, 15_000, []),
        (13_000, 12_999, ["warning"]),
        (11_000, 10_999, ["critical"]),
        (10_500, 10_499, ["emergency"]),
        (13_200, 10_400, ["warning", "critical", "emergency"]),
        (10_400, 16_000, []),
        (DEBT_FREE, 0, ["safe", "warning", "critical", "emergency"]),
    ],
)
def test_a_level_is_entered_when_health_falls_below_it(
    before: int, after: int, levels: list[str]
) -> None:
    assert list(entered(before, after)) == levels


def test_each_entry_alerts_once_and_again_after_recovery() -> None:
    play = desk(position(at=13_200))
    assert alerts(price(play, 980, 1)) == [("liquidation_risk", "warning", 1)]
    assert alerts(price(play, 970, 2)) == []
    assert alerts(price(play, 990, 3)) == []
    assert alerts(price(play, 980, 4)) == [("liquidation_risk", "warning", 2)]
    found = play.ask(GetAlerts("warning"))
    assert [alert["alert"] for alert in found] == [1, 2]
    assert play.ask(GetAlerts("critical")) == []


def test_a_plunge_alerts_every_level_and_asks_for_one_sale() -> None:
    play = desk(position(at=13_200))
    step = price(play, 780, 1)
    assert [level for _, level, _ in alerts(step)] == ["warning", "critical", "emergency"]
    (request,) = step.of(ReductionRequested)
    ((to, body),) = step.sends("ExecuteOptimizedTransaction")
    assert (to, body["trade"]["id"]) == ("forge/main", request.trade.id)
    assert step.effects[0][0] == "send"
    assert price(play, 770, 2).of(ReductionRequested) == []  # one is under way


def test_a_sale_that_failed_is_asked_for_again_at_the_next_price() -> None:
    play = desk(position(at=11_200))
    (first,) = price(play, 980, 1).of(ReductionRequested)
    play.do(TradeFailed(first.trade, "no"), sender="forge/main")
    (again,) = price(play, 979, 2).of(ReductionRequested)
    assert again.trade.id != first.trade.id


def test_a_sale_pays_debt_restores_health_and_answers_the_alerts() -> None:
    play = desk(position(at=11_200))
    (asked,) = price(play, 980, 1).of(ReductionRequested)
    trade = asked.trade
    proceeds = trade.amount * 979_510 // MICRO
    done = TradeExecuted(trade, 1, 979_510, proceeds, 3 * MICRO, 60, "ethereum")
    step = play.do(done, sender="forge/main")
    (updated,) = step.of(PositionUpdated)
    assert updated.health >= 12_490
    assert updated.debt == trade.debt - proceeds
    assert updated.change < 0
    assert [(a.alert, a.by) for a in step.of(AlertAcknowledged)] == [(1, "forge/main")]
    assert play.state.reductions == {}


def test_no_protocol_holds_over_a_quarter_and_no_position_over_a_million() -> None:
    play = desk(position("p1", "aave", 900, 20_000))
    assert "over 25 %" in play.do(position("p2", "aave", 101)).reason
    assert play.do(position("p2", "aave", 100)).outcome == "accepted"
    assert "over $1,000,000.00" in play.do(position("p3", "maker", 1_001)).reason
    assert "over 25 %" in play.do(UpdatePosition("p2", 101 * K, 0)).reason
    assert play.do(UpdatePosition("p2", 99 * K, 0)).outcome == "accepted"
    assert "over 25 %" in play.do(SetCapital(3_900 * K)).reason
    assert "there is a position p2" in play.do(position("p2", "maker")).reason
    assert play.do(RemovePosition("p2")).outcome == "accepted"
    assert "there is no position p2" in play.do(RemovePosition("p2")).reason


def test_the_thousand_and_first_position_is_refused() -> None:
    play = desk()
    small = Position("aave", "USDC", 1, 0, 0, 1)
    filled = {f"p{n}": small for n in range(MAX_POSITIONS)}
    play.state = replace(play.state, positions=filled, prices={"USDC": DOLLAR})
    assert "1,000 positions are the limit" in play.do(position("one-more")).reason


def test_a_price_that_lifts_a_protocol_over_its_share_alerts_once() -> None:
    play = desk(position("p1", "aave", 999, 20_000))
    price(play, 1_000, 1)
    assert alerts(price(play, 1_002, 2)) == [
        ("position_size_exceeded", "warning", 1),
        ("protocol_exposure_exceeded", "warning", 2),
    ]
    assert alerts(price(play, 1_003, 3)) == []


def test_prices_come_from_oracle_only_and_never_go_back() -> None:
    play = desk(position())
    step = play.do(Prices("USDC", DOLLAR, 1, 60))
    assert step.reason == "a price comes from oracle/main only, not from a client"
    price(play, 1_000, 5)
    assert "older than tick 5" in price(play, 1_000, 4).reason


def move(amount: int, target: str = "maker", id: str = "move-1") -> Trade:
    return Trade(
        id, "reallocate", "USDC", "move", amount, DOLLAR, 900_000, 1, source="curve", target=target
    )


def held(protocol: str, tokens: int) -> AddPosition:
    return AddPosition(f"yield-{protocol}", protocol, "USDC", tokens * K, 0, 0, DOLLAR)


def test_an_approved_move_reserves_its_room_until_it_is_done() -> None:
    play = desk(held("curve", 600), position("p1", "maker", 600, 20_000))
    ask = RequestApproval(move(300 * K), DOLLAR, MICRO)
    step = play.do(ask, sender="forge/main")
    assert step.of(TradeApproved)[0].approval == 1
    assert step.sends("GrantApproval")[0][0] == "forge/main"
    second = play.do(RequestApproval(move(200 * K, id="m2"), DOLLAR, MICRO), sender="forge/main")
    assert "over 25 %" in second.of(TradeRefused)[0].reason
    assert second.sends("DenyApproval")[0][1]["trade"] == "m2"
    assert "over 25 %" in play.do(position("p2", "maker", 101)).reason
    done = TradeExecuted(move(300 * K), 1, DOLLAR, 0, MICRO, 60, "ethereum")
    step = play.do(done, sender="forge/main")
    assert step.of(PositionAdded)[0].id == "yield-maker"
    assert play.state.positions["yield-curve"].collateral == 300 * K
    assert play.state.positions["yield-maker"].book == 300 * K
    assert play.state.reserved == {}


def test_approved_moves_into_one_position_count_together_against_its_limit() -> None:
    play = desk(SetCapital(16_000 * K), held("curve", 900), held("maker", 200))
    first = RequestApproval(move(600 * K), DOLLAR, MICRO)
    assert play.do(first, sender="forge/main").of(TradeApproved)
    second = RequestApproval(move(300 * K, id="m2"), DOLLAR, MICRO)
    (refused,) = play.do(second, sender="forge/main").of(TradeRefused)
    assert refused.reason == "the position in maker would be worth over $1,000,000.00"


def test_an_approved_move_that_fails_frees_its_room() -> None:
    play = desk(held("curve", 600), position("p1", "maker", 600, 20_000))
    play.do(RequestApproval(move(300 * K), DOLLAR, MICRO), sender="forge/main")
    play.do(TradeFailed(move(300 * K), "no"), sender="forge/main")
    assert play.do(position("p2", "maker", 400)).outcome == "accepted"


@pytest.mark.parametrize(
    ("trade", "at", "gas", "why"),
    [
        (move(0), DOLLAR, 0, "gas of $0.00 is over"),
        (move(100 * K), DOLLAR, 6 * K, "gas of $6,000.00 is over 5 % of $100,000.00"),
        (move(100 * K), 940_000, 0, "over 5 % from the market"),
        (move(700 * K), DOLLAR, 0, "curve has not got that much"),
    ],
)
def test_a_trade_is_refused_for_its_price_cost_or_size(
    trade: Trade, at: int, gas: int, why: str
) -> None:
    play = desk(held("curve", 600))
    step = play.do(RequestApproval(trade, at, gas), sender="forge/main")
    assert why in step.of(TradeRefused)[0].reason
    assert step.of(TradeApproved) == []


def test_only_forge_may_ask_for_approval() -> None:
    play = desk(held("curve", 600))
    step = play.do(RequestApproval(move(K), DOLLAR, 0), sender="pulse/main")
    assert step.reason == "a request for approval comes from forge/main only, not from pulse/main"


def test_alerts_are_acknowledged_once() -> None:
    play = desk(position(at=13_200))
    price(play, 980, 1)
    assert play.do(AcknowledgeAlert(1, "operator")).of(AlertAcknowledged)[0].by == "operator"
    assert play.do(AcknowledgeAlert(1, "operator")).reason == "alert 1 is not open"


def test_a_liquidation_sells_what_pays_the_debt_of_a_critical_position_only() -> None:
    play = desk(position("p1", at=10_800), position("p2", at=14_000))
    assert "is not critical" in play.do(ExecuteLiquidation("p2")).reason
    step = play.do(ExecuteLiquidation("p1"))
    trade = step.of(ReductionRequested)[0].trade
    debt = play.state.positions["p1"].debt
    assert trade.amount * trade.limit // MICRO >= debt - 1
    assert "under way already" in play.do(ExecuteLiquidation("p1")).reason


def test_a_critical_rating_of_a_protocol_in_use_alerts_once() -> None:
    play = desk(position("p1", "euler"))
    critical = ProtocolRating("euler", 30, "critical", 4)
    step = play.do(critical, sender="sage/main")
    assert alerts(step) == [("contract_vulnerability", "critical", 1)]
    assert play.do(critical, sender="sage/main").events == []
    play.do(ProtocolRating("euler", 70, "medium", 5), sender="sage/main")
    assert len(alerts(play.do(critical, sender="sage/main"))) == 1
    unused = play.do(ProtocolRating("curve", 30, "critical", 4), sender="sage/main")
    assert alerts(unused) == []


def test_all_five_scenarios_run_or_one_by_name() -> None:
    play = desk(position("p1", at=10_600), position("p2", at=16_000))
    step = play.do(RunStressTest())
    assert [each.scenario for each in step.of(StressTestCompleted)] == list(SCENARIOS)
    (swan,) = play.do(RunStressTest("Black Swan")).of(StressTestCompleted)
    assert swan.liquidated == ("p1", "p2")
    (mild,) = play.do(RunStressTest("Crypto Winter")).of(StressTestCompleted)
    assert mild.liquidated == ()
    assert mild.loss == 2_000 * MICRO  # 1 % of two hundred thousand
    assert "there is no scenario" in play.do(RunStressTest("Rapture")).reason


def test_a_simulation_draws_the_same_for_the_same_commit() -> None:
    outcome = given(aegis).when(SetCapital(4_000 * K)).state
    ready = given(aegis).state(outcome).when(position(at=10_600)).state
    run = RunMonteCarloSimulation(paths=50, ticks=12, volatility=200)
    first = given(aegis).state(ready).when(run)
    second = given(aegis).state(ready).when(run)
    (figures,) = first.events
    assert isinstance(figures, MonteCarloCompleted)
    assert figures == second.events[0]
    assert 0 <= figures.value_at_risk <= figures.worst <= 100 * K
    assert figures.liquidating > 0


# invariants

commands = st.one_of(
    st.builds(
        AddPosition,
        st.sampled_from(["a", "b", "c", "yield-x", "yield-y"]),
        st.sampled_from(["x", "y"]),
        st.just("USDC"),
        st.integers(0, 1_500 * K),
        st.integers(0, 900 * K),
        st.just(8_500),
        st.just(DOLLAR),
    ),
    st.builds(
        UpdatePosition,
        st.sampled_from(["a", "b", "yield-x"]),
        st.integers(0, 1_500 * K),
        st.integers(0, 900 * K),
    ),
    st.builds(RemovePosition, st.sampled_from(["a", "yield-x", "yield-y"])),
    st.builds(SetCapital, st.integers(0, 8_000 * K)),
)
prices = st.integers(700, 1_300)
moves = st.builds(
    lambda amount, source, id: Trade(
        id,
        "reallocate",
        "USDC",
        "move",
        amount,
        DOLLAR,
        1,
        1,
        source=source,
        target="y" if source == "x" else "x",
    ),
    st.integers(1, 900 * K),
    st.sampled_from(["x", "y"]),
    st.sampled_from(["m1", "m2", "m3"]),
)


def step_of(play: Play[Any], choice: Any, tick: int) -> None:
    """One arbitrary step; an approved move is executed, or fails, some steps later."""
    if isinstance(choice, int):
        price(play, choice, tick)
    elif isinstance(choice, Trade):
        at = play.state.prices.get("USDC", DOLLAR)
        play.do(RequestApproval(choice, at, 0), sender="forge/main")
    elif isinstance(choice, tuple):
        trade, is_done = choice
        if trade.id in play.state.reserved:
            at = play.state.prices["USDC"]
            report = (
                TradeExecuted(trade, 1, at, 0, 0, 0, "ethereum")
                if is_done
                else TradeFailed(trade, "no")
            )
            play.do(report, sender="forge/main")
    else:
        play.do(choice)


@settings(max_examples=60)
@for_all(st.lists(st.one_of(commands, prices, moves, st.tuples(moves, st.booleans())), max_size=40))
def test_limits_hold_whatever_is_asked_moved_or_priced(choices: list[Any]) -> None:
    play = Play(aegis)
    for tick, choice in enumerate(choices, 1):
        step_of(play, choice, tick)
        state = play.state
        totals = booked(state.positions.values(), state.reserved)
        assert max(totals.values(), default=0) <= per_protocol(state.capital)
        assert all(each.book <= MAX_BOOK for each in state.positions.values())
        assert all(each.collateral >= 0 and each.debt >= 0 for each in state.positions.values())
    numbers = [event.approval for event in play.events(TradeApproved)]
    assert numbers == list(range(1, len(numbers) + 1))


@settings(max_examples=60)
@for_all(st.lists(st.integers(700, 1_100), min_size=1, max_size=30), st.integers(10_600, 16_000))
def test_alerts_count_exactly_the_falls_through_levels(path: list[int], at: int) -> None:
    play = desk(position(at=at))
    expected = 0
    before = depth(at)
    for tick, thousandths in enumerate(path, 1):
        price(play, thousandths, tick)
        now = depth(health(play.state.positions["p1"], thousandths * 1_000))
        expected += max(0, now - before)
        before = now
    raised = play.events(RiskAlert)
    assert len(raised) == expected
    assert [alert.alert for alert in raised] == list(range(1, expected + 1))


@example(248_906_842, 180_707_186, 1_024_206)  # what is kept lost a millionth of a dollar
@for_all(st.integers(1, 1_000 * K), st.integers(1, 900 * K), st.integers(500_000, 2 * DOLLAR))
def test_a_sale_at_the_market_restores_the_health_it_aims_at_or_sells_all(
    collateral: int, debt: int, at: int
) -> None:
    before = Position("aave", "USDC", collateral, debt, 8_500, 0)
    amount = to_sell(before, at, 12_500)
    assert 0 <= amount <= collateral
    paid = min(amount * at // MICRO, debt)
    after = Position("aave", "USDC", collateral - amount, debt - paid, 8_500, 0)
    if amount < collateral:
        assert health(after, at) >= 12_500 or after.debt <= 2 * MICRO
