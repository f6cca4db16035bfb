"""Pulse: keeps money where it earns, leaves what Sage rates down, within bounds."""

from typing import Final

from msgspec.structs import asdict, replace

from moonlet.agents import Context, Decision, Rejected, Reply, Send
from moonlet.satellites.common import BPS, MICRO, PEG, peer, require, require_room, share_of
from moonlet.satellites.messages import (
    AlertClosed,
    AllocateCapital,
    CapitalDenied,
    CapitalGranted,
    CloseAlert,
    ExecuteOptimizedTransaction,
    Prices,
    ProtocolRating,
    Trade,
    TradeExecuted,
    TradeFailed,
)
from moonlet.satellites.pulse.allocation import (
    ADVICE,
    AllocationMove,
    blended,
    category_of,
    plan_moves,
    spread,
    to_move,
    worse,
)
from moonlet.satellites.pulse.events import Pulse, pulse, status
from moonlet.satellites.pulse.messages import (
    BacktestCompleted,
    DiscoverProtocols,
    GetHealth,
    MoveDropped,
    MoveProposed,
    OptimizeStaking,
    OptimizeYield,
    PegNoted,
    ProtocolDiscovered,
    ProtocolDiscovery,
    ProtocolHeardOf,
    ProtocolRated,
    RebalanceExecuted,
    RedeploymentRequested,
    RedeploymentSettled,
    StakeNoted,
    StakingOptimizationCompleted,
    StakingPosition,
    SustainabilityAlert,
    YieldNoted,
    YieldOpportunity,
    YieldOptimizationCompleted,
)

__all__ = ["pulse"]

ASSET: Final = "USDC"
OUTSIDE: Final = 200
INSIDE: Final = 100
"""The token leaves its band 200 basis points below the peg and is back at 100."""

SLIPPAGE: Final = 1_000
"""A move's limit: it changes protocols, not assets, so only a crash should stop it."""

STAKE_SHARE: Final = 5_000
REDEPLOY: Final = 100_000 * MICRO
"""Cash that Pulse asks Fuel for when the token is back, in micro-dollars."""


@pulse.on_command
def yield_opportunity(state: Pulse, command: YieldOpportunity) -> Decision:
    """Take in a protocol's yield and what is held there."""
    require_room(state.yields, command.protocol, "protocols")
    yield YieldNoted(command.protocol, command.apy, command.held)


@pulse.on_command
def staking_position(state: Pulse, command: StakingPosition) -> Decision:
    """Take in a stake."""
    require_room(state.stakes, command.validator, "validators")
    yield StakeNoted(**asdict(command))


@pulse.on_command
def protocol_discovery(state: Pulse, command: ProtocolDiscovery) -> Decision:
    """Note a protocol that was heard of."""
    require_room(state.heard, command.protocol, "protocols heard of")
    yield ProtocolHeardOf(**asdict(command))


@pulse.on_command
def discover_protocols(state: Pulse, command: DiscoverProtocols) -> Decision:
    """Take in what pays and holds enough; replies with the names."""
    found = [
        each
        for _, each in sorted(state.heard.items())
        if each.apy >= command.min_apy and each.tvl >= command.min_tvl
    ]
    for each in found:
        require_room(state.yields, each.protocol, "protocols")
        yield ProtocolDiscovered(each.protocol, each.apy)
    yield Reply([each.protocol for each in found])


@pulse.on_command
def protocol_rating(state: Pulse, command: ProtocolRating, context: Context) -> Decision:
    """Keep a rating; where the category got worse, alert, and move money out within bounds."""
    require(context, "sage", "a rating")
    before = state.categories.get(command.protocol, "sustainable")
    after = category_of(command.score)
    yield ProtocolRated(command.protocol, command.score, after)
    if not worse(before, after):
        return
    advice = ADVICE[after]
    yield SustainabilityAlert(command.protocol, before, after, advice, command.score)
    categories = {**state.categories, command.protocol: after}
    rated = replace(state, categories=categories, tick=max(state.tick, command.tick))
    leaving = sum(m.amount for m in state.moves.values() if m.source == command.protocol)
    amount = to_move(state.held.get(command.protocol, 0) - leaving, advice)
    yield from _propose(rated, command.protocol, amount, context)


def _propose(state: Pulse, source: str, amount: int, context: Context) -> Decision:
    """Ask Forge for the moves that bring `amount` of `source` to sustainable protocols."""
    targets = {
        name: apy
        for name, apy in state.yields.items()
        if state.categories.get(name, "sustainable") == "sustainable" and name not in state.barred
    }
    incoming: dict[str, int] = {}
    for move in state.moves.values():
        incoming[move.target] = incoming.get(move.target, 0) + move.amount
    moves = plan_moves(state.held, incoming, source, amount, targets)
    for number, move in enumerate(moves, state.numbered + 1):
        trade = _trade(state, f"move-{number}", move)
        yield MoveProposed(trade.id, move.source, move.target, move.amount)
        yield Send(peer(context, "forge"), ExecuteOptimizedTransaction(trade))


def _trade(state: Pulse, id: str, move: AllocationMove) -> Trade:
    price = state.price or PEG
    limit = price - share_of(price, SLIPPAGE)
    return Trade(
        id, "reallocate", ASSET, "move", move.amount, price, limit, state.tick,
        source=move.source, target=move.target,
    )  # fmt: skip


@pulse.on_command
def trade_executed(state: Pulse, command: TradeExecuted, context: Context) -> Decision:
    """A move is done."""
    require(context, "forge", "an execution")
    move = state.moves.get(command.trade.id)
    if move is None:
        raise Rejected(f"no move {command.trade.id} is under way")
    yield RebalanceExecuted(command.trade.id, move.source, move.target, move.amount)


@pulse.on_command
def trade_failed(state: Pulse, command: TradeFailed, context: Context) -> Decision:
    """A move came to nothing: try the next best target, if there is one."""
    require(context, "forge", "a failure")
    move = state.moves.get(command.trade.id)
    if move is None:
        raise Rejected(f"no move {command.trade.id} is under way")
    yield MoveDropped(command.trade.id, move.target, command.reason)
    left = {id: each for id, each in state.moves.items() if id != command.trade.id}
    after = replace(state, moves=left, barred=(*state.barred, move.target))
    yield from _propose(after, move.source, move.amount, context)


@pulse.on_command
def prices(state: Pulse, command: Prices, context: Context) -> Decision:
    """Back inside the band after a depeg, Pulse asks Fuel for cash to buy back in."""
    require(context, "oracle", "a price")
    edge = OUTSIDE if state.inside else INSIDE
    inside = command.price >= PEG - share_of(PEG, edge)
    yield PegNoted(command.asset, inside, command.tick, command.price)
    if inside and not state.inside and not state.redeploying:
        request = f"redeploy-{state.numbered + 1}"
        yield RedeploymentRequested(request, REDEPLOY)
        ask = AllocateCapital(request, "ethereum", REDEPLOY, "buy", command.asset, command.at)
        yield Send(peer(context, "fuel"), ask)


@pulse.on_command
def capital_answered(
    state: Pulse, command: CapitalGranted | CapitalDenied, context: Context
) -> Decision:
    """Fuel's answer; granted cash is counted, a denial is remembered with its reason."""
    require(context, "fuel", "capital")
    if command.request != state.redeploying:
        raise Rejected(f"{command.request} was not asked for")
    granted = command.amount if isinstance(command, CapitalGranted) else 0
    reason = command.reason if isinstance(command, CapitalDenied) else ""
    yield RedeploymentSettled(command.request, granted, reason)


@pulse.on_command
def optimize_yield(state: Pulse, command: OptimizeYield) -> Decision:
    """Propose a spread over sustainable protocols; replies with it, moves nothing."""
    open_to = {
        name: apy
        for name, apy in state.yields.items()
        if name not in command.constraints
        and state.categories.get(name, "sustainable") == "sustainable"
    }
    shares = spread(command.capital, open_to, command.risk_tolerance, command.preferences)
    apy = blended(shares, open_to, command.capital)
    yield YieldOptimizationCompleted(command.capital, shares, apy)
    earned = command.capital * apy * command.time_horizon // (BPS * 365)
    yield BacktestCompleted(command.capital, command.time_horizon, earned)
    yield Reply({"shares": shares, "apy": apy, "earned": earned})


@pulse.on_command
def optimize_staking(state: Pulse, command: OptimizeStaking) -> Decision:
    """The best validator that would hold no more than half of all stakes afterwards."""
    total = sum(amount for amount, _ in state.stakes.values()) + command.amount
    fitting = [
        (-apy, name)
        for name, (amount, apy) in state.stakes.items()
        if amount + command.amount <= share_of(total, STAKE_SHARE)
    ]
    best = min(fitting)[1] if fitting else ""
    yield StakingOptimizationCompleted(best, command.amount if best else 0)
    yield Reply(best)


@pulse.on_command
def close_alert(state: Pulse, command: CloseAlert) -> Decision:
    """Record what an operator saw and acknowledged: he may be where Aegis can't be reached."""
    yield AlertClosed(command.alert, command.by, command.observed)


@pulse.on_command
def get_health(state: Pulse, command: GetHealth) -> Decision:
    """The status, asked for as a command."""
    yield Reply(status(state))
