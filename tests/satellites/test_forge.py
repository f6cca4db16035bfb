"""Forge: nothing without Aegis's approval, each approval once; sandwiches; momentum."""

from typing import Any

from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st

from moonlet.satellites import forge
from moonlet.satellites.common import MICRO
from moonlet.satellites.forge.messages import (
    BacktestStrategy,
    BatchTransactions,
    FlashloanOpportunity,
    MempoolTx,
    RunValidationSuite,
    SandwichDetected,
    Status,
    StrategyBacktested,
    TradingSignal,
    TxDenied,
    TxExecuted,
    TxFailed,
    TxPlanned,
    TxRebuilt,
    ValidationCompleted,
)
from moonlet.satellites.messages import MarketData
from moonlet.satellites.messages.trades import (
    DenyApproval,
    ExecuteOptimizedTransaction,
    GrantApproval,
    Protection,
    Trade,
)
from tests.satellites.play import Play

K = 1_000 * MICRO


def trade(id: str = "t1", amount: int = 10 * K, limit: int = 900_000, tick: int = 1) -> Trade:
    return Trade(id, "reduce", "USDC", "sell", amount, MICRO, limit, tick, position="p1")


def bar(tick: int, close: int, before: int | None = None) -> MarketData:
    first = before if before is not None else close
    return MarketData("USDC", tick, tick * 60, first, max(first, close), min(first, close), close)


def planned(*trades: Trade, sender: str = "aegis/main") -> Play[Any]:
    play = Play(forge)
    play.do(bar(1, MICRO), sender="oracle/main")
    for each in trades:
        play.do(ExecuteOptimizedTransaction(each), sender=sender)
    return play


def grant(play: Play[Any], number: int, which: Trade, sender: str = "aegis/main") -> Any:
    return play.do(GrantApproval(number, which), sender=sender)


def test_a_trade_is_planned_and_aegis_asked_but_nothing_executed() -> None:
    play = planned()
    step = play.do(ExecuteOptimizedTransaction(trade()), sender="aegis/main")
    assert step.of(TxPlanned)[0].gas == 12 * MICRO * 225_000 // 1_000_000
    assert [to for to, _ in step.sends("RequestApproval")] == ["aegis/main"]
    assert step.of(TxExecuted) == []
    assert step.reply == "tx-1"


def test_an_approved_trade_is_executed_and_reported() -> None:
    play = planned(trade())
    step = grant(play, 1, trade())
    (done,) = step.of(TxExecuted)
    assert (done.approval, done.price, done.proceeds) == (1, 999_500, 9_995 * MICRO)
    assert [to for to, _ in step.sends("TradeExecuted")] == ["aegis/main", "fuel/main"]


def test_the_one_who_asked_hears_of_it_too() -> None:
    play = planned(trade(), sender="pulse/main")
    assert [to for to, _ in grant(play, 1, trade()).sends("TradeExecuted")] == [
        "aegis/main",
        "fuel/main",
        "pulse/main",
    ]


def test_no_one_but_aegis_can_approve() -> None:
    play = planned(trade())
    step = grant(play, 1, trade(), sender="client-7")
    assert step.reason == "an approval comes from aegis/main only, not from a client"
    assert "not from aegis/other" in grant(play, 1, trade(), sender="aegis/other").reason


def test_an_approval_is_used_once_and_for_what_was_planned() -> None:
    play = planned(trade("t1"), trade("t2"))
    assert "another trade" in grant(play, 1, trade("t1", amount=11 * K)).reason
    assert grant(play, 1, trade("t1")).outcome == "accepted"
    assert "was used before" in grant(play, 1, trade("t1")).reason
    assert "was used before" in grant(play, 1, trade("t2")).reason
    assert "no trade t1 is planned" in grant(play, 2, trade("t1")).reason
    assert "was planned before" in play.do(ExecuteOptimizedTransaction(trade("t1"))).reason


def test_a_refused_trade_is_dropped_and_its_asker_told() -> None:
    play = planned(trade(), sender="pulse/main")
    step = play.do(DenyApproval("t1", "too much"), sender="aegis/main")
    assert step.of(TxDenied)[0].reason == "too much"
    assert [to for to, _ in step.sends("TradeFailed")] == ["pulse/main"]
    assert "no trade t1" in grant(play, 1, trade()).reason


def test_a_price_below_the_limit_fails_the_trade_and_spends_the_approval() -> None:
    play = planned(trade(limit=990_000))
    play.do(bar(2, 980_000), sender="oracle/main")
    step = grant(play, 1, trade(limit=990_000))
    assert "below the limit of 990000" in step.of(TxFailed)[0].reason
    assert step.of(TxExecuted) == []
    assert play.ask(Status())["approval"] == 1


def test_a_sandwich_is_detected_once_and_the_transaction_rebuilt() -> None:
    play = planned(trade("t1"), trade("t2"))
    play.do(MempoolTx("0xbad", "USDC", "bot", K, 50 * MICRO))
    step = grant(play, 1, trade("t1"))
    assert [type(event) for event in step.events] == [SandwichDetected, TxRebuilt, TxExecuted]
    assert step.of(TxExecuted)[0].price == 999_500  # as if there had been no attacker
    assert step.sends("TradeExecuted")[0][1]["sandwiched"] is True
    assert grant(play, 2, trade("t2")).of(SandwichDetected) == []


def test_an_unguarded_transaction_pays_for_it() -> None:
    play = planned()
    careless = Protection(mev=False)
    play.do(ExecuteOptimizedTransaction(trade(), protection=careless), sender="aegis/main")
    play.do(MempoolTx("0xbad", "USDC", "bot", K, 50 * MICRO))
    step = grant(play, 1, trade())
    assert [type(event) for event in step.events] == [TxExecuted]
    assert step.of(TxExecuted)[0].price == 992_000


def test_a_batch_plans_each_trade_for_less_gas() -> None:
    play = planned()
    step = play.do(BatchTransactions((trade("t1"), trade("t2"))), sender="fuel/main")
    assert step.reply == ["tx-1", "tx-2"]
    assert len(step.sends("RequestApproval")) == 2
    assert {plan.gas for plan in step.of(TxPlanned)} == {12 * MICRO * 239_500 // 1_000_000}
    assert play.do(BatchTransactions((trade("t3"), trade("t3")))).outcome == "rejected"


def test_plans_are_bounded() -> None:
    play = planned(*[trade(f"t{n}") for n in range(64)])
    step = play.do(ExecuteOptimizedTransaction(trade("t64")))
    assert step.reason == "64 trades wait for aegis already: try again later"
    step = play.do(ExecuteOptimizedTransaction(trade("t64")), sender="aegis/main")
    assert step.sends("TradeFailed")[0][0] == "aegis/main"  # a rejection would tell nobody
    assert len(play.state.plans) == 64
    assert play.do(BatchTransactions((trade("t65"),))).outcome == "rejected"


def test_momentum_tells_only_when_it_changes_its_mind() -> None:
    play = Play(forge)
    closes = [1_000_000] * 6 + [980_000, 970_000, 960_000] + [1_000_000] * 3
    before = closes[0]
    for tick, close in enumerate(closes, 1):
        play.do(bar(tick, close, before), sender="oracle/main")
        before = close
    assert [(s.tick, s.action) for s in play.events(TradingSignal)] == [(7, "sell"), (10, "buy")]
    assert [e.tick for e in play.events(FlashloanOpportunity)] == [7, 10]
    assert "is not after tick 12" in play.do(bar(12, MICRO), sender="oracle/main").reason
    step = play.do(BacktestStrategy(window=3, capital=K))
    assert step.of(StrategyBacktested)[0].trades == 1
    assert play.do(BacktestStrategy(window=40)).outcome == "rejected"


def test_the_validation_suite_finds_nothing_wrong_after_a_day_of_work() -> None:
    play = planned(trade("t1"), trade("t2"))
    grant(play, 1, trade("t1"))
    assert play.do(RunValidationSuite()).of(ValidationCompleted) == [ValidationCompleted(4, ())]


ids = st.sampled_from(["a", "b", "c"])
plans = st.builds(trade, ids, st.integers(1, 9))
senders = st.sampled_from(["aegis/main", "aegis/main", "client", "pulse/main"])
choices = st.one_of(
    st.tuples(st.just("plan"), plans, st.just(0), senders),
    st.tuples(st.just("grant"), plans, st.integers(0, 12), senders),
    st.tuples(st.just("deny"), plans, st.just(0), senders),
    st.tuples(st.just("price"), plans, st.integers(800_000, 1_100_000), senders),
)


@settings(max_examples=100)
@for_all(st.lists(choices, max_size=40))
def test_every_execution_has_an_approval_of_its_own_that_aegis_gave_for_it(
    steps: list[tuple[str, Trade, int, str]],
) -> None:
    play = Play(forge)
    given_by_aegis = set()
    for tick, (kind, which, number, sender) in enumerate(steps, 1):
        if kind == "plan":
            play.do(ExecuteOptimizedTransaction(which), sender=sender)
        elif kind == "deny":
            play.do(DenyApproval(which.id, "no"), sender=sender)
        elif kind == "price":
            play.do(bar(tick, number), sender="oracle/main")
        else:
            play.do(GrantApproval(number, which), sender=sender)
            if sender == "aegis/main":
                given_by_aegis.add((number, which))
    settled = [(e.approval, e.trade) for e in play.events(TxExecuted) + play.events(TxFailed)]
    assert set(settled) <= given_by_aegis
    assert len({number for number, _ in settled}) == len(settled)
    assert len({which.id for _, which in settled}) == len(settled)
