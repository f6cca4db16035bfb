"""Bridge: moves cash to the chain where it is dearest, in two legs, and undoes a half-done one.

An execution is a saga: Fuel sets cash aside; `lock` takes it at the source; `release` pays it out
at the target. A release that is refused is compensated by `unlock`. Every ending tells Fuel what
came back.
"""

from typing import Final

from msgspec.structs import asdict

from moonlet.agents import (
    Cancel,
    Context,
    Decision,
    Perform,
    PerformFailed,
    Rejected,
    Reply,
    Schedule,
    Send,
)
from moonlet.satellites.bounds import require_room
from moonlet.satellites.bridge_events import Bridge, Execution, bridge, is_closed, risk_of, why_not
from moonlet.satellites.messages.bridge import (
    Action,
    AssetPrices,
    BridgeAudited,
    BridgeIncident,
    ChainsPriced,
    CheckLeg,
    ExecuteArbitrage,
    ExecutionCompleted,
    ExecutionFailed,
    ExecutionInitiated,
    LegCompleted,
    LegFailed,
    LegRefused,
    LegSettled,
    LegStarted,
    LiquidityOptimized,
    OpportunityDetected,
    OpportunityEvaluated,
    OptimizeLiquidity,
    RebalancePortfolio,
    RecordBridgeIncident,
    RouteSet,
    SetRoute,
    TransferLeg,
    TransfersProposed,
    UpdateBridgeSecurityAudit,
)
from moonlet.satellites.messages.fuel import AllocateCapital, SettleTransfer
from moonlet.satellites.messages.market import CapitalDenied, CapitalGranted
from moonlet.satellites.peers import peer, require
from moonlet.satellites.transfers import transfers, wanted_by_share
from moonlet.satellites.units import BPS, PEG, share_of

__all__ = ["bridge"]

COOLDOWN: Final = 6
"""Ticks between two opportunities of one bridge."""

MAX_RISK: Final = 6_000
MAX_ATTEMPTS: Final = 5
LEG_SECONDS: Final = 30
"""A leg that takes longer than this is an incident."""

TIMER: Final = "leg"


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
def capital_granted(state: Bridge, command: CapitalGranted, context: Context) -> Decision:
    """The first leg."""
    require(context, "fuel", "capital")
    execution = _under_way(state, command.request, None)
    yield from _start(state, execution, "lock", command.amount)


@bridge.on_command
def capital_denied(state: Bridge, command: CapitalDenied, context: Context) -> Decision:
    """Nothing was set aside, so there is nothing to settle."""
    require(context, "fuel", "capital")
    execution = _under_way(state, command.request, None)
    yield ExecutionFailed(execution.id, 0, 0, False, command.reason)


def _start(
    state: Bridge, execution: Execution, action: Action, amount: int, attempt: int = 1
) -> Decision:
    route = state.routes[execution.bridge]
    call = TransferLeg(
        execution.id,
        action,
        chain=route.target if action == "release" else route.source,
        amount=amount,
        gain={"lock": -route.fee, "release": execution.spread, "unlock": 0}[action],
        refuse=action == "release" and state.initiated in route.outages,
    )
    yield LegStarted(execution.id, action, amount, attempt)
    yield Perform(call)
    yield Schedule(CheckLeg(execution.id, action), after=LEG_SECONDS, name=TIMER)


@bridge.on_perform
async def transfer_leg(call: TransferLeg, call_id: str) -> LegSettled | LegFailed:
    """The simulated venue: a function of the call alone, so that a second run answers the same."""
    if call.refuse:
        return LegFailed(call.execution, call.action, f"{call.chain} has no liquidity")
    amount = call.amount + call.amount * call.gain // BPS
    return LegSettled(call.execution, call.action, amount, call_id)


@bridge.on_command
def leg_settled(state: Bridge, command: LegSettled, context: Context) -> Decision:
    """On to the next leg, or to the end."""
    require(context, "bridge", "a leg's outcome")
    execution = _under_way(state, command.execution, command.action)
    most = execution.held + share_of(execution.held, max(execution.spread, 0))
    if command.amount > most:
        raise Rejected(f"{command.amount} is more than the leg can bring: {most}")
    yield Cancel(TIMER)
    yield LegCompleted(execution.id, command.action, command.amount, command.receipt)
    if command.action == "lock":
        yield from _start(state, execution, "release", command.amount)
        return
    route = state.routes[execution.bridge]
    if command.action == "release":
        profit = command.amount - execution.amount
        yield ExecutionCompleted(execution.id, execution.amount, command.amount, profit)
        yield from _settle(execution, route.target, command.amount, context)
    else:
        reason = "the second leg was refused; the first was undone"
        yield ExecutionFailed(execution.id, execution.amount, command.amount, True, reason)
        yield from _settle(execution, route.source, command.amount, context)


def _settle(execution: Execution, wallet: str, returned: int, context: Context) -> Decision:
    yield Send(peer(context, "fuel"), SettleTransfer(execution.id, wallet, returned))


@bridge.on_command
def leg_failed(state: Bridge, command: LegFailed, context: Context) -> Decision:
    """The venue refused: a release is compensated, a lock leaves nothing to undo."""
    require(context, "bridge", "a leg's outcome")
    execution = _under_way(state, command.execution, command.action)
    yield Cancel(TIMER)
    yield LegRefused(execution.id, command.action, command.reason)
    if command.action == "lock":
        yield ExecutionFailed(
            execution.id, execution.amount, execution.amount, False, command.reason
        )
        route = state.routes[execution.bridge]
        yield from _settle(execution, route.source, execution.amount, context)
        return
    yield BridgeIncident(execution.bridge, "medium", f"{command.action}: {command.reason}")
    attempt = execution.attempt + 1 if command.action == "unlock" else 1
    yield from _again(state, execution, "unlock", attempt)


@bridge.on_command
def perform_failed(state: Bridge, command: PerformFailed, context: Context) -> Decision:
    """The venue gave no answer, so the leg may have happened: ask it again, never undo it.

    The venue knows a leg by execution and action and does it once.
    """
    require(context, "bridge", "a call's failure")
    execution = state.execution
    if execution is None or execution.action is None:
        raise Rejected("no leg is under way")
    yield Cancel(TIMER)
    yield BridgeIncident(execution.bridge, "low", command.error[:500])
    yield from _again(state, execution, execution.action, execution.attempt + 1)


def _again(state: Bridge, execution: Execution, action: Action, attempt: int) -> Decision:
    if attempt <= MAX_ATTEMPTS:
        yield from _start(state, execution, action, execution.held, attempt)
    else:
        what = f"{execution.id} is stuck at {action} after {MAX_ATTEMPTS} attempts: see to it"
        yield BridgeIncident(execution.bridge, "critical", what)


@bridge.on_command
def check_leg(state: Bridge, command: CheckLeg) -> Decision:
    """The leg's timer fired before its answer came: an incident, nothing more."""
    execution = _under_way(state, command.execution, command.action)
    what = f"{command.action} of {command.execution} takes over {LEG_SECONDS} s"
    yield BridgeIncident(execution.bridge, "medium", what)


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


def _under_way(state: Bridge, id: str, action: Action | None) -> Execution:
    """The execution, if it is at this leg; a late or second answer is rejected."""
    execution = state.execution
    if execution is None or execution.id != id or execution.action != action:
        leg = action or "its beginning"
        raise Rejected(f"{id} is not at {leg}")
    return execution
