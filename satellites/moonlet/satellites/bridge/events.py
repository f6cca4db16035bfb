"""Bridge's agent type, how its state follows from events, and what can be asked of it."""

from typing import Any

from msgspec.structs import asdict, replace

from moonlet.agents import AgentType
from moonlet.satellites.bridge.messages import (
    BridgeAudited,
    BridgeIncident,
    ChainsPriced,
    ExecutionCompleted,
    ExecutionFailed,
    ExecutionInitiated,
    GetArbitrageOpportunities,
    GetBridgeRiskAssessments,
    GetCriticalBridgeAlerts,
    GetExecutableOpportunities,
    GetPortfolioStatus,
    LegCompleted,
    LegRefused,
    LegStarted,
    LiquidityOptimized,
    OpportunityDetected,
    OpportunityEvaluated,
    RouteSet,
    SetRoute,
    TransfersProposed,
)
from moonlet.satellites.bridge.state import (
    MAX_INCIDENTS,
    MAX_OPPORTUNITIES,
    Bridge,
    Execution,
    Opportunity,
    is_closed,
    risk_of,
    why_not,
)

bridge = AgentType("bridge", Bridge, partitions=1)


@bridge.on_event
def route_set(state: Bridge, event: RouteSet) -> Bridge:
    """Know the route."""
    return replace(state, routes={**state.routes, event.bridge: SetRoute(**asdict(event))})


@bridge.on_event
def chains_priced(state: Bridge, event: ChainsPriced) -> Bridge:
    """Keep the price."""
    return replace(state, price=event.price, tick=event.tick, at=event.at)


@bridge.on_event
def opportunity_detected(state: Bridge, event: OpportunityDetected) -> Bridge:
    """Remember it among the newest."""
    found = Opportunity(event.bridge, event.spread, event.tick)
    opportunities = {**state.opportunities, event.opportunity: found}
    while len(opportunities) > MAX_OPPORTUNITIES:
        del opportunities[next(iter(opportunities))]
    return replace(state, opportunities=opportunities, detected=state.detected + 1)


@bridge.on_event
def opportunity_evaluated(state: Bridge, event: OpportunityEvaluated) -> Bridge:
    """Keep the figures."""
    return _with_opportunity(
        state,
        event.opportunity,
        net_profit=event.net_profit,
        risk_score=event.risk_score,
        is_executable=event.executable,
    )


@bridge.on_event
def execution_initiated(state: Bridge, event: ExecutionInitiated) -> Bridge:
    """One execution at a time; nothing is in it yet."""
    execution = Execution(
        event.execution, event.opportunity, event.bridge, event.amount, event.spread
    )
    taken = _with_opportunity(state, event.opportunity, is_taken=True)
    return replace(taken, execution=execution, initiated=state.initiated + 1)


@bridge.on_event
def leg_started(state: Bridge, event: LegStarted) -> Bridge:
    """A leg is under way with this much in it."""
    return _with_execution(state, action=event.action, held=event.amount, attempt=event.attempt)


@bridge.on_event
def leg_completed(state: Bridge, event: LegCompleted) -> Bridge:
    """This much is on its other side."""
    return _with_execution(state, action=None, held=event.amount)


@bridge.on_event
def leg_refused(state: Bridge, event: LegRefused) -> Bridge:
    """What was in it stays where it was, and the leg is as it was till another begins."""
    return state


@bridge.on_event
def execution_completed(state: Bridge, event: ExecutionCompleted) -> Bridge:
    """Count it."""
    return replace(
        state,
        execution=None,
        completed=state.completed + 1,
        volume=state.volume + event.amount,
        profit=state.profit + event.profit,
    )


@bridge.on_event
def execution_failed(state: Bridge, event: ExecutionFailed) -> Bridge:
    """Count it, and its cost."""
    return replace(
        state,
        execution=None,
        failed=state.failed + 1,
        profit=state.profit + event.returned - event.amount,
    )


@bridge.on_event
def bridge_incident(state: Bridge, event: BridgeIncident) -> Bridge:
    """Remember it among the newest."""
    return replace(state, incidents=(*state.incidents, event)[-MAX_INCIDENTS:])


@bridge.on_event
def bridge_audited(state: Bridge, event: BridgeAudited) -> Bridge:
    """Keep the score."""
    return replace(state, audits={**state.audits, event.bridge: event.score})


@bridge.on_event
def kept_in_the_journal(state: Bridge, event: LiquidityOptimized | TransfersProposed) -> Bridge:
    """Nothing later depends on these."""
    return state


@bridge.on_query
def get_arbitrage_opportunities(
    state: Bridge, query: GetArbitrageOpportunities
) -> dict[str, Opportunity]:
    """All that are remembered."""
    return state.opportunities


@bridge.on_query
def get_executable_opportunities(
    state: Bridge, query: GetExecutableOpportunities
) -> dict[str, Opportunity]:
    """Those that `ExecuteArbitrage` would accept now."""
    return {
        name: each
        for name, each in state.opportunities.items()
        if state.execution is None and not why_not(state, name)
    }


@bridge.on_query
def get_bridge_risk_assessments(
    state: Bridge, query: GetBridgeRiskAssessments
) -> dict[str, dict[str, Any]]:
    """Risk, audit, incidents and whether it is closed, by bridge."""
    return {
        name: {
            "risk_score": risk_of(state, name),
            "audit": state.audits.get(name),
            "incidents": sum(each.bridge == name for each in state.incidents),
            "is_closed": is_closed(state, name),
        }
        for name in sorted(state.routes)
    }


@bridge.on_query
def get_portfolio_status(state: Bridge, query: GetPortfolioStatus) -> dict[str, Any]:
    """The execution under way, and what all made."""
    return {
        "execution": state.execution,
        "completed": state.completed,
        "failed": state.failed,
        "volume": state.volume,
        "profit": state.profit,
    }


@bridge.on_query
def get_critical_bridge_alerts(
    state: Bridge, query: GetCriticalBridgeAlerts
) -> list[BridgeIncident]:
    """The critical incidents, oldest first."""
    return [each for each in state.incidents if each.severity == "critical"]


def _with_opportunity(state: Bridge, name: str, **changes: Any) -> Bridge:
    if name not in state.opportunities:
        return state
    changed = replace(state.opportunities[name], **changes)
    return replace(state, opportunities={**state.opportunities, name: changed})


def _with_execution(state: Bridge, **changes: Any) -> Bridge:
    assert state.execution is not None
    return replace(state, execution=replace(state.execution, **changes))
