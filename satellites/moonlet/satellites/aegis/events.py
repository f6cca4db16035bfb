"""Aegis's agent type, how its state follows from events, and what can be asked of it."""

from typing import Any

from msgspec.structs import replace

from moonlet.agents import AgentType
from moonlet.satellites.aegis.messages import (
    AlertAcknowledged,
    CapitalSet,
    CollateralPriced,
    GetAlerts,
    GetPositionHealth,
    MonteCarloCompleted,
    PositionAdded,
    PositionRemoved,
    PositionUpdated,
    ProtocolFlagged,
    ReductionRequested,
    ReductionSettled,
    ReservationReleased,
    RiskAlert,
    StressTestCompleted,
    TradeApproved,
    TradeRefused,
)
from moonlet.satellites.aegis.positions import LEVELS, Position, depth
from moonlet.satellites.aegis.watch import Aegis, health_of, open_alerts, with_price
from moonlet.satellites.messages import AlertClosed

aegis = AgentType("aegis", Aegis, partitions=1)


@aegis.on_event
def capital_set(state: Aegis, event: CapitalSet) -> Aegis:
    """Keep the capital."""
    return replace(state, capital=event.capital)


@aegis.on_event
def position_added(state: Aegis, event: PositionAdded) -> Aegis:
    """Watch it; its price serves until Oracle has sent one."""
    position = Position(
        event.protocol, event.asset, event.collateral, event.debt, event.threshold, event.book
    )
    prices = {event.asset: event.price, **state.prices}
    return replace(state, prices=prices, positions={**state.positions, event.id: position})


@aegis.on_event
def position_updated(state: Aegis, event: PositionUpdated) -> Aegis:
    """Keep the new figures."""
    position = replace(
        state.positions[event.id], collateral=event.collateral, debt=event.debt, book=event.book
    )
    return replace(state, positions={**state.positions, event.id: position})


@aegis.on_event
def position_removed(state: Aegis, event: PositionRemoved) -> Aegis:
    """Forget it, and what was asked for it."""
    return replace(
        state,
        positions=_without(state.positions, event.id),
        reductions=_without(state.reductions, event.id),
    )


@aegis.on_event
def collateral_priced(state: Aegis, event: CollateralPriced) -> Aegis:
    """Value by this price from now on."""
    return replace(with_price(state, event.asset, event.price), tick=event.tick)


@aegis.on_event
def risk_alert(state: Aegis, event: RiskAlert) -> Aegis:
    """An alert is open until somebody acknowledges it."""
    return replace(state, raised=event.alert, alerts=open_alerts(state.alerts, event))


@aegis.on_event
def alert_acknowledged(state: Aegis, event: AlertAcknowledged) -> Aegis:
    """It is open no longer."""
    return replace(state, alerts=_without(state.alerts, event.alert))


@aegis.on_event
def protocol_flagged(state: Aegis, event: ProtocolFlagged) -> Aegis:
    """Remember which protocols are critical, so that each is alerted once."""
    others = tuple(name for name in state.flagged if name != event.protocol)
    return replace(state, flagged=(*others, event.protocol) if event.is_critical else others)


@aegis.on_event
def reduction_requested(state: Aegis, event: ReductionRequested) -> Aegis:
    """One sale at a time for a position."""
    return replace(state, reductions={**state.reductions, event.position: event.trade.id})


@aegis.on_event
def reduction_settled(state: Aegis, event: ReductionSettled) -> Aegis:
    """Done, or to be asked for again."""
    if event.done:
        return replace(state, reductions=_without(state.reductions, event.position))
    return replace(state, reductions={**state.reductions, event.position: ""})


@aegis.on_event
def trade_approved(state: Aegis, event: TradeApproved) -> Aegis:
    """The number is spent; an approved move takes up room from now on."""
    reserved = state.reserved
    if event.trade.side == "move":
        reserved = {**reserved, event.trade.id: (event.trade.target, event.reserved)}
    return replace(state, approvals=event.approval, reserved=reserved)


@aegis.on_event
def reservation_released(state: Aegis, event: ReservationReleased) -> Aegis:
    """The room is free, or booked."""
    return replace(state, reserved=_without(state.reserved, event.trade))


@aegis.on_event
def kept_in_the_journal(
    state: Aegis, event: TradeRefused | StressTestCompleted | MonteCarloCompleted | AlertClosed
) -> Aegis:
    """Nothing later depends on these."""
    return state


@aegis.on_query
def get_position_health(state: Aegis, query: GetPositionHealth) -> dict[str, Any]:
    """Health in basis points and level ('' above all), by position."""
    ids = [query.position] if query.position else sorted(state.positions)
    answer = {}
    for id in ids:
        if id in state.positions:
            now = health_of(state, id)
            level = LEVELS[depth(now) - 1][0] if depth(now) else ""
            answer[id] = {"health": now, "level": level, "reducing": state.reductions.get(id, "")}
    return answer


@aegis.on_query
def get_alerts(state: Aegis, query: GetAlerts) -> list[RiskAlert]:
    """The open alerts, oldest first, of one level if asked for."""
    alerts = sorted(state.alerts.values(), key=lambda alert: alert.alert)
    return [alert for alert in alerts if query.level in (None, alert.level)]


def _without(table: dict[Any, Any], key: Any) -> dict[Any, Any]:
    return {name: value for name, value in table.items() if name != key}
