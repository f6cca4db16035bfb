"""Bridge: opportunities, the two-leg saga and its compensation, incidents."""

import asyncio
from typing import Any

import pytest
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st

from moonlet.agents import PerformFailed
from moonlet.satellites import bridge
from moonlet.satellites.bridge.legs import transfer_leg
from moonlet.satellites.bridge.messages import (
    BridgeIncident,
    ExecuteArbitrage,
    ExecutionCompleted,
    ExecutionFailed,
    GetArbitrageOpportunities,
    GetBridgeRiskAssessments,
    GetCriticalBridgeAlerts,
    GetExecutableOpportunities,
    GetPortfolioStatus,
    LegRefused,
    LegStarted,
    OpportunityDetected,
    OpportunityEvaluated,
    OptimizeLiquidity,
    RebalancePortfolio,
    RecordBridgeIncident,
    SetRoute,
    UpdateBridgeSecurityAudit,
)
from moonlet.satellites.bridge.venue import Action, CheckLeg, LegFailed, LegSettled, TransferLeg
from moonlet.satellites.common import MICRO
from moonlet.satellites.messages import AssetPrices, CapitalDenied, CapitalGranted
from tests.satellites.play import Play

K = 1_000 * MICRO
ROUTE = SetRoute("canal", "ethereum", "arbitrum", 1_500, 30, 100 * K)


def routed(route: SetRoute = ROUTE) -> Play[Any]:
    play = Play(bridge)
    play.do(route)
    play.do(UpdateBridgeSecurityAudit("canal", 8_000, "us"))
    return play


def price(play: Play[Any], thousandths: int, tick: int) -> Any:
    return play.do(AssetPrices("USDC", thousandths * 1_000, tick, tick), sender="oracle/main")


def venue(play: Play[Any]) -> Any:
    """The last call, as the venue answers it."""
    effects = [effect for step in play.steps for effect in step.effects]
    call = [body for kind, _, _, body in effects if kind == "perform"][-1]
    return asyncio.run(transfer_leg(TransferLeg(**call), "bridge/main:9.0"))


def own(play: Play[Any], message: Any) -> Any:
    return play.do(message, sender="bridge/main")


def begun(route: SetRoute = ROUTE) -> Play[Any]:
    play = routed(route)
    price(play, 900, 1)
    own(play, ExecuteArbitrage("opportunity-1"))
    play.do(CapitalGranted("execution-1", 100 * K), sender="fuel/main")
    return play


def test_an_opportunity_is_seen_when_the_spread_beats_the_fee() -> None:
    play = routed()
    assert price(play, 985, 1).of(OpportunityDetected) == []
    step = price(play, 900, 2)
    assert step.of(OpportunityDetected) == [OpportunityDetected("opportunity-1", "canal", 150, 2)]
    (judged,) = step.of(OpportunityEvaluated)
    assert judged.executable and judged.net_profit == 1_195_500_000
    assert judged.path == ("ethereum", "canal", "arbitrum")
    assert step.sends("ExecuteArbitrage") == [("bridge/main", {"opportunity_id": "opportunity-1"})]
    assert price(play, 900, 3).of(OpportunityDetected) == []  # not again for six ticks
    assert len(price(play, 900, 8).of(OpportunityDetected)) == 1


def test_an_opportunity_closes_after_a_tick() -> None:
    play = routed()
    price(play, 900, 1)
    assert list(play.ask(GetExecutableOpportunities())) == ["opportunity-1"]
    price(play, 900, 3)
    step = own(play, ExecuteArbitrage("opportunity-1"))
    assert step.reason == "opportunity-1 was open until tick 2"
    assert play.ask(GetExecutableOpportunities()) == {}
    assert len(play.ask(GetArbitrageOpportunities())) == 1
    assert "no opportunity x" in own(play, ExecuteArbitrage("x")).reason


def test_both_legs_done_is_a_completed_execution() -> None:
    play = begun()
    assert play.steps[-1].of(LegStarted) == [LegStarted("execution-1", "lock", 100 * K, 1)]
    own(play, venue(play))
    assert play.steps[-1].of(LegStarted)[0].action == "release"
    step = own(play, venue(play))
    (done,) = step.of(ExecutionCompleted)
    assert done.returned == 99_700 * MICRO * 10_150 // 10_000
    assert step.sends("SettleTransfer") == [
        ("fuel/main", {"request": "execution-1", "wallet": "arbitrum", "returned": done.returned})
    ]
    assert play.ask(GetPortfolioStatus())["completed"] == 1
    assert "one transfer" not in own(play, ExecuteArbitrage("opportunity-1")).reason


def test_a_refused_second_leg_is_compensated() -> None:
    play = begun(SetRoute("canal", "ethereum", "arbitrum", 1_500, 30, 100 * K, outages=(1,)))
    own(play, venue(play))
    step = own(play, venue(play))
    assert step.of(LegRefused)[0].reason == "arbitrum has no liquidity"
    assert step.of(LegStarted)[0].action == "unlock"
    step = own(play, venue(play))
    (failed,) = step.of(ExecutionFailed)
    assert failed.compensated and failed.returned == 99_700 * MICRO
    assert step.sends("SettleTransfer") == [
        (
            "fuel/main",
            {"request": "execution-1", "wallet": "ethereum", "returned": failed.returned},
        )
    ]
    assert play.state.execution is None


def test_a_refused_first_leg_leaves_nothing_to_undo() -> None:
    play = begun()
    step = own(play, LegFailed("execution-1", "lock", "closed"))
    (failed,) = step.of(ExecutionFailed)
    assert (failed.compensated, failed.returned) == (False, 100 * K)
    assert step.sends("SettleTransfer")[0][1]["returned"] == 100 * K


def test_capital_denied_ends_it_before_it_began() -> None:
    play = routed()
    price(play, 900, 1)
    own(play, ExecuteArbitrage("opportunity-1"))
    assert "one transfer at a time" in own(play, ExecuteArbitrage("opportunity-1")).reason
    step = play.do(CapitalDenied("execution-1", "no cash"), sender="fuel/main")
    assert step.of(ExecutionFailed)[0].amount == 0
    assert step.effects == []


def test_no_answer_is_no_failure_the_leg_is_asked_for_again_and_never_undone() -> None:
    play = begun()
    own(play, venue(play))
    for attempt in range(2, 6):
        step = own(play, PerformFailed("c", "timeout"))
        assert step.of(LegStarted) == [
            LegStarted("execution-1", "release", 99_700 * MICRO, attempt)
        ]
    step = own(play, PerformFailed("c", "timeout"))
    assert step.of(LegStarted) == []
    assert step.of(BridgeIncident)[-1].severity == "critical"
    assert "stuck at release" in play.ask(GetCriticalBridgeAlerts())[0]["what"]
    assert play.state.execution is not None  # it holds money: a person must look


def test_an_unlock_that_is_refused_five_times_is_stuck_with_its_money_and_begins_nothing() -> None:
    play = begun(SetRoute("canal", "ethereum", "arbitrum", 1_500, 30, 100 * K, outages=(1,)))
    own(play, venue(play))
    own(play, venue(play))
    for _ in range(5):
        step = own(play, LegFailed("execution-1", "unlock", "no"))
    assert "stuck at unlock" in step.of(BridgeIncident)[-1].what
    again = play.do(CapitalGranted("execution-1", 100 * K), sender="fuel/main")
    assert (again.outcome, again.effects) == ("rejected", []), "it would be locked twice"
    denied = play.do(CapitalDenied("execution-1", "no cash"), sender="fuel/main")
    assert denied.outcome == "rejected", "it would end, and Fuel never hear of it"
    settled = own(play, venue(play))
    assert settled.of(ExecutionFailed)[0].returned == 99_700 * MICRO
    assert len(settled.sends("SettleTransfer")) == 1


def test_the_venue_answers_the_same_call_the_same() -> None:
    call = TransferLeg("e", "lock", "ethereum", 100 * K, gain=-30)
    answers = [asyncio.run(transfer_leg(call, "bridge/main:3.0")) for _ in range(2)]
    assert answers[0] == answers[1]


def test_a_late_second_or_forged_answer_changes_nothing() -> None:
    play = begun()
    settled = venue(play)
    assert "from bridge/main only" in play.do(settled).reason
    own(play, settled)
    assert own(play, settled).reason == "execution-1 is not at lock"
    greedy = LegSettled("execution-1", "release", 200 * K, "r")
    assert "more than the leg can bring" in own(play, greedy).reason
    assert "under way on canal" in play.do(ROUTE).reason


def test_an_overdue_leg_is_an_incident() -> None:
    play = begun()
    assert [kind for kind, *_ in play.steps[-1].effects] == ["perform", "schedule"]
    step = own(play, CheckLeg("execution-1", "lock"))
    assert "takes over 30 s" in step.of(BridgeIncident)[0].what
    own(play, venue(play))
    assert play.steps[-1].effects[0][0] == "cancel"
    assert own(play, CheckLeg("execution-1", "lock")).outcome == "rejected"


def test_a_bridge_with_a_poor_audit_or_a_critical_incident_is_not_used() -> None:
    play = routed()
    play.do(UpdateBridgeSecurityAudit("canal", 3_000, "us"))
    assert price(play, 900, 1).sends("ExecuteArbitrage") == []
    play.do(UpdateBridgeSecurityAudit("canal", 8_000, "us"))
    play.do(RecordBridgeIncident("canal", "critical", "drained"))
    assert price(play, 900, 9).sends("ExecuteArbitrage") == []
    risk = play.ask(GetBridgeRiskAssessments())["canal"]
    assert risk == {"risk_score": 2_500, "audit": 8_000, "incidents": 1, "is_closed": True}
    assert "no bridge moon" in play.do(RecordBridgeIncident("moon", "low", "")).reason


def test_liquidity_is_evened_out_and_portfolios_rebalanced_on_paper() -> None:
    play = routed()
    assert play.do(OptimizeLiquidity({"a": 10, "b": 1})).reply == {"a": 6, "b": 5}
    assert play.do(OptimizeLiquidity({})).outcome == "rejected"
    targets = {"a": 5_000, "b": 5_000}
    assert play.do(RebalancePortfolio({"a": 10, "b": 2}, targets)).reply == [["a", "b", 4]]
    assert play.do(RebalancePortfolio({"a": 1}, {"a": 1})).outcome == "rejected"
    assert "must join two chains" in play.do(SetRoute("x", "a", "a", 1, 1, 1)).reason


answers = st.sampled_from(["settle", "refuse", "silent", "late", "price", "denied"])


@settings(max_examples=100)
@for_all(st.lists(answers, max_size=60), st.lists(st.integers(1, 6), max_size=3))
def test_whatever_the_venue_does_money_is_somewhere_and_settled_once(
    story: list[str], outages: list[int]
) -> None:
    route = SetRoute("canal", "ethereum", "arbitrum", 1_500, 30, 100 * K, tuple(outages))
    play = routed(route)
    lent = returned = 0
    answered: Any = None
    for tick, what in enumerate(story, 1):
        step = price(play, 900, tick)
        for _, body in step.sends("ExecuteArbitrage"):
            own(play, ExecuteArbitrage(**body))
        execution = play.state.execution
        if execution is None:
            continue
        if execution.action is None and execution.held == 0:
            if what == "denied":
                play.do(CapitalDenied(execution.id, "no"), sender="fuel/main")
                continue
            play.do(CapitalGranted(execution.id, execution.amount), sender="fuel/main")
            lent += execution.amount
            answered = venue(play)
        elif what == "settle":
            step = own(play, answered)
            answered = venue(play) if play.state.execution else None
        elif what == "refuse":
            own(play, LegFailed(execution.id, execution.action, "no"))
            answered = venue(play) if play.steps[-1].of(LegStarted) else answered
        elif what == "silent":
            own(play, PerformFailed("c", "silence"))
        elif what == "late":
            wrong: Action = "unlock" if execution.action != "unlock" else "lock"
            assert own(play, LegSettled(execution.id, wrong, 1, "r")).outcome == "rejected"
        settled = play.steps[-1].sends("SettleTransfer")
        assert len(settled) <= 1
        for _, body in settled:
            lent -= execution.amount
            returned += body["returned"]
            assert body["returned"] >= execution.amount * 9_970 // 10_000
        now = play.state.execution
        assert lent == (now.amount if now is not None and now.held else 0)
    done = play.events(ExecutionCompleted) + play.events(ExecutionFailed)
    assert sum(each.returned for each in done) == returned
    assert len({each.execution for each in done}) == len(done)


@pytest.mark.parametrize("action", ["lock", "release"])
def test_a_leg_never_brings_more_than_its_quote(action: Action) -> None:
    call = TransferLeg("e", action, "x", 1_000, gain=150)
    answer = asyncio.run(transfer_leg(call, "c"))
    assert isinstance(answer, LegSettled)
    assert answer.amount == 1_015
