"""Pulse: moves within bounds, money neither made nor lost, cash asked for after the depeg."""

from typing import Any

from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st

from moonlet.satellites import pulse
from moonlet.satellites.common import MICRO, share_of
from moonlet.satellites.messages import (
    CapitalDenied,
    CapitalGranted,
    Prices,
    ProtocolRating,
    Trade,
    TradeExecuted,
    TradeFailed,
)
from moonlet.satellites.pulse.allocation import MAX_SHARE, MIN_MOVE, plan_moves, spread
from moonlet.satellites.pulse.messages import (
    BacktestCompleted,
    DiscoverProtocols,
    GetHealth,
    MoveDropped,
    MoveProposed,
    OptimizeStaking,
    OptimizeYield,
    ProtocolDiscovered,
    ProtocolDiscovery,
    RebalanceExecuted,
    RedeploymentRequested,
    RedeploymentSettled,
    StakingOptimization,
    StakingOptimizationCompleted,
    StakingPosition,
    SustainabilityAlert,
    SystemStatus,
    YieldOpportunity,
    YieldOptimization,
    YieldOptimizationCompleted,
)
from tests.satellites.play import Play

K = 1_000 * MICRO


def invested() -> Play[Any]:
    play = Play(pulse)
    for protocol, apy, held in (
        ("aave", 420, 200),
        ("compound", 380, 250),
        ("curve", 610, 400),
        ("yearn", 550, 150),
    ):
        play.do(YieldOpportunity(protocol, apy, held * K))
    return play


def rate(play: Play[Any], protocol: str, score: int) -> Any:
    return play.do(ProtocolRating(protocol, score, "medium", 1), sender="sage/main")


def trade_of(step: Any, index: int = 0) -> Trade:
    body = step.sends("ExecuteOptimizedTransaction")[index][1]["trade"]
    return Trade(**body)


def report(play: Play[Any], trade: Trade, *, done: bool) -> Any:
    message: Any = (
        TradeExecuted(trade, 1, MICRO, 0, MICRO, 0, "ethereum")
        if done
        else TradeFailed(trade, "aave is full")
    )
    return play.do(message, sender="forge/main")


def test_an_unsustainable_protocol_is_left_for_the_best_yields_within_bounds() -> None:
    play = invested()
    step = rate(play, "curve", 40)
    (alert,) = step.of(SustainabilityAlert)
    assert (alert.before, alert.after, alert.advice) == ("sustainable", "unsustainable", "exit")
    moves = [(m.source, m.target, m.amount) for m in step.of(MoveProposed)]
    assert moves == [("curve", "yearn", 300 * K), ("curve", "aave", 100 * K)]


def test_a_watched_protocol_is_halved_and_a_better_rating_moves_nothing() -> None:
    play = invested()
    step = rate(play, "curve", 60)
    assert step.of(SustainabilityAlert)[0].advice == "reduce"
    assert sum(m.amount for m in step.of(MoveProposed)) == 200 * K
    assert rate(play, "curve", 90).of(SustainabilityAlert) == []


def test_a_move_counts_once_forge_has_done_it() -> None:
    play = invested()
    step = rate(play, "curve", 40)
    done = report(play, trade_of(step), done=True)
    assert done.of(RebalanceExecuted)[0].amount == 300 * K
    assert play.state.held["yearn"] == 450 * K
    assert "no move" in report(play, trade_of(step), done=True).reason
    assert play.ask(SystemStatus())["moving"] == 1


def test_a_refused_move_tries_the_next_target_and_not_the_same_again() -> None:
    play = invested()
    step = rate(play, "curve", 40)
    failed = report(play, trade_of(step, 1), done=False)
    assert failed.of(MoveDropped)[0].target == "aave"
    assert [m.target for m in failed.of(MoveProposed)] == ["compound"]
    last = report(play, trade_of(failed), done=False)
    assert last.of(MoveProposed) == []
    assert play.state.held["curve"] == 400 * K


def test_back_at_its_peg_the_token_is_bought_back_if_fuel_allows() -> None:
    play = invested()
    at = {1: 999, 2: 975, 3: 985, 4: 991, 5: 991}
    for tick, thousandths in at.items():
        play.do(Prices("USDC", thousandths * 1_000, tick, tick * 60), sender="oracle/main")
    (asked,) = play.events(RedeploymentRequested)
    ((to, body),) = play.steps[-2].sends("AllocateCapital")
    assert (to, body["use"], body["at"]) == ("fuel/main", "buy", 240)
    denied = CapitalDenied(asked.request, "a wash sale")
    step = play.do(denied, sender="fuel/main")
    assert step.of(RedeploymentSettled) == [RedeploymentSettled(asked.request, 0, "a wash sale")]
    assert "was not asked for" in play.do(CapitalGranted("x", 1), sender="fuel/main").reason


def test_a_spread_is_proposed_for_capital_and_nothing_moves() -> None:
    play = invested()
    rate(play, "yearn", 40)
    held = play.state.held
    step = play.do(OptimizeYield(100 * K, risk_tolerance=10_000, constraints=("curve",)))
    (proposed,) = step.of(YieldOptimizationCompleted)
    assert proposed.shares == {"aave": 45 * K, "compound": 45 * K}
    assert proposed.apy == 360
    assert step.of(BacktestCompleted)[0].earned == 3_600 * MICRO
    assert play.state.held == held
    assert play.ask(YieldOptimization())["categories"]["yearn"] == "unsustainable"


def test_stakes_go_to_the_best_validator_with_room() -> None:
    play = Play(pulse)
    assert play.do(OptimizeStaking(K)).reply == ""
    play.do(StakingPosition("big", 900 * K, 500))
    play.do(StakingPosition("small", 100 * K, 400))
    step = play.do(OptimizeStaking(100 * K))
    assert step.of(StakingOptimizationCompleted)[0].validator == "small"
    assert play.ask(StakingOptimization())["big"] == {"amount": 900 * K, "apy": 500}


def test_protocols_heard_of_are_discovered_by_what_they_pay_and_hold() -> None:
    play = invested()
    play.do(ProtocolDiscovery("tiny", 900, K))
    play.do(ProtocolDiscovery("solid", 500, 10**6 * K))
    step = play.do(DiscoverProtocols(min_apy=400, min_tvl=10**6 * K))
    assert step.of(ProtocolDiscovered) == [ProtocolDiscovered("solid", 500)]
    assert step.reply == ["solid"]
    assert play.do(GetHealth()).reply == play.ask(SystemStatus())


amounts = st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 10**15), min_size=1, max_size=6)


@for_all(amounts, st.data())
def test_moves_never_take_more_than_is_there_nor_overfill_a_target(
    held: dict[str, int], data: Any
) -> None:
    source = data.draw(st.sampled_from(sorted(held)))
    amount = data.draw(st.integers(0, 2 * 10**15))
    incoming = data.draw(amounts)
    targets = data.draw(st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 900)))
    moves = plan_moves(held, incoming, source, amount, targets)
    assert sum(move.amount for move in moves) <= min(amount, held[source])
    limit = share_of(sum(held.values()), MAX_SHARE)
    for move in moves:
        assert move.amount >= MIN_MOVE
        assert move.target != source
        after = held.get(move.target, 0) + incoming.get(move.target, 0) + move.amount
        assert after <= limit


@for_all(st.integers(0, 10**15), amounts, st.integers(0, 10_000))
def test_a_spread_is_bounded_and_never_more_than_the_capital(
    capital: int, yields: dict[str, int], tolerance: int
) -> None:
    shares = spread(capital, yields, tolerance, ())
    assert sum(shares.values()) <= capital
    assert all(0 < part <= share_of(capital, MAX_SHARE) for part in shares.values())


@settings(max_examples=60)
@for_all(
    st.lists(
        st.one_of(
            st.tuples(st.sampled_from(["aave", "compound", "curve", "yearn"]), st.integers(0, 100)),
            st.booleans(),
        ),
        max_size=30,
    )
)
def test_no_rating_and_no_outcome_of_a_move_makes_or_loses_money(choices: list[Any]) -> None:
    play = invested()
    limit = share_of(1_000 * K, MAX_SHARE)
    for choice in choices:
        if isinstance(choice, tuple):
            rate(play, *choice)
        elif play.state.moves:
            id, move = next(iter(play.state.moves.items()))
            asked = Trade(id, "reallocate", "USDC", "move", move.amount, MICRO, 1, 1)
            report(play, asked, done=choice)
        held, moves = play.state.held, play.state.moves.values()
        assert sum(held.values()) == 1_000 * K
        assert min(held.values()) >= 0
        for name, amount in held.items():
            assert sum(m.amount for m in moves if m.source == name) <= amount
            assert amount + sum(m.amount for m in moves if m.target == name) <= limit
