"""Bridge: moves cash to the chain where it is dearest, in two legs, and undoes a half-done one.

An execution is a saga: Fuel sets cash aside; `lock` takes it at the source; `release` pays it out
at the target. A release that is refused is compensated by `unlock`. Every ending tells Fuel what
came back.
"""

from typing import Final

from msgspec.structs import asdict

from moonlet.agents import Context, Decision, Rejected, Reply, Send
from moonlet.satellites.bridge.legs import bridge
from moonlet.satellites.bridge.messages import (
    BridgeAudited,
    BridgeIncident,
    ChainsPriced,
    ExecuteArbitrage,
    ExecutionInitiated,
    LiquidityOptimized,
    OpportunityDetected,
    OpportunityEvaluated,
    OptimizeLiquidity,
    RebalancePortfolio,
    RecordBridgeIncident,
    RouteSet,
    SetRoute,
    TransfersProposed,
    UpdateBridgeSecurityAudit,
)
from moonlet.satellites.bridge.state import Bridge, is_closed, risk_of, why_not
from moonlet.satellites.common import (
    BPS,
    PEG,
    peer,
    require,
    require_room,
    share_of,
    transfers,
    wanted_by_share,
)
from moonlet.satellites.messages import AllocateCapital, AssetPrices

__all__ = ["bridge"]

COOLDOWN: Final = 6
"""Ticks between two opportunities of one bridge."""

MAX_RISK: Final = 6_000


@bridge.on_command
def set_route(state: Bridge, command: SetRoute) -> Decision:
    """Know a route, or change it."""
    require_room(state.routes, command.bridge, "routes")
    if command.source == command.target:
        raise Rejected(f"{command.bridge} must join two chains")
    if state.execution is not None and state.execution.bridge == command.bridge:
        raise Rejected(f"{state.execution.id} is under way on {command.bridge}")
    yield RouteSet(**asdict(command))


@bridge.on_command
def asset_prices(state: Bridge, command: AssetPrices, context: Context) -> Decision:
    """Look for chains where dollars are dearer than the way there costs; carry out the best."""
    require(context, "oracle", "a price")
    yield ChainsPriced(command.asset, command.price, command.tick, command.at)
    gap = max(0, PEG - command.price) * BPS // PEG
    best: list[tuple[int, str]] = []
    number = state.detected
    for name, route in sorted(state.routes.items()):
        spread = min(share_of(gap, route.premium), BPS)
        if spread <= route.fee or _is_recent(state, name, command.tick):
            continue
        number += 1
        id = f"opportunity-{number}"
        yield OpportunityDetected(id, name, spread, command.tick)
        locked = route.size - share_of(route.size, route.fee)
        profit = locked + share_of(locked, spread) - route.size
        risk = risk_of(state, name)
        executable = profit > 0 and risk <= MAX_RISK and not is_closed(state, name)
        path = (route.source, name, route.target)
        yield OpportunityEvaluated(id, profit, risk, path, executable)
        if executable:
            best.append((-profit, id))
    if best and state.execution is None:
        yield Send(context.self_id, ExecuteArbitrage(min(best)[1]))


def _is_recent(state: Bridge, bridge: str, tick: int) -> bool:
    return any(
        each.bridge == bridge and tick < each.tick + COOLDOWN
        for each in state.opportunities.values()
    )


@bridge.on_command
def execute_arbitrage(state: Bridge, command: ExecuteArbitrage, context: Context) -> Decision:
    """Begin: ask Fuel for the cash."""
    if state.execution is not None:
        raise Rejected(f"{state.execution.id} is under way: one transfer at a time")
    refusal = why_not(state, command.opportunity_id)
    if refusal:
        raise Rejected(refusal)
    found = state.opportunities[command.opportunity_id]
    route = state.routes[found.bridge]
    id = f"execution-{state.initiated + 1}"
    yield ExecutionInitiated(id, command.opportunity_id, found.bridge, route.size, found.spread)
    ask = AllocateCapital(id, route.source, route.size, "arbitrage", "USD", state.at)
    yield Send(peer(context, "fuel"), ask)
    yield Reply(id)


@bridge.on_command
def record_bridge_incident(state: Bridge, command: RecordBridgeIncident) -> Decision:
    """Somebody reports an incident; a critical one closes the bridge."""
    if command.bridge not in state.routes:
        raise Rejected(f"there is no bridge {command.bridge}")
    yield BridgeIncident(command.bridge, command.severity, command.what)


@bridge.on_command
def update_bridge_security_audit(state: Bridge, command: UpdateBridgeSecurityAudit) -> Decision:
    """Keep an audit's score."""
    if command.bridge not in state.routes:
        raise Rejected(f"there is no bridge {command.bridge}")
    yield BridgeAudited(command.bridge, command.score, command.auditor)


@bridge.on_command
def optimize_liquidity(state: Bridge, command: OptimizeLiquidity) -> Decision:
    """Even out cash over chains; a remainder stays with the first by name."""
    if not command.cash:
        raise Rejected("no chain was named")
    names = sorted(command.cash)
    each, rest = divmod(sum(command.cash.values()), len(names))
    even = {name: each + (rest if name == names[0] else 0) for name in names}
    yield LiquidityOptimized(even)
    yield Reply(even)


@bridge.on_command
def rebalance_portfolio(state: Bridge, command: RebalancePortfolio) -> Decision:
    """Propose transfers that bring chains to their shares; replies with them."""
    if sum(command.targets.values()) != BPS:
        raise Rejected("the target shares must add up to 10,000")
    found = transfers(command.cash, wanted_by_share(command.cash, command.targets))
    yield TransfersProposed(found)
    yield Reply(found)
