"""Aegis and trades: which may be executed, and what an execution does to positions."""

from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from moonlet.agents import Context, Decision, Send
from moonlet.satellites.aegis.events import aegis
from moonlet.satellites.aegis.messages import (
    AlertAcknowledged,
    PositionAdded,
    PositionUpdated,
    ReductionSettled,
    ReservationReleased,
    RiskAlert,
    TradeApproved,
    TradeRefused,
)
from moonlet.satellites.aegis.positions import DEBT_FREE, Position, scaled
from moonlet.satellites.aegis.watch import (
    Aegis,
    alerts_between,
    execution_alerts,
    health_of,
    judge,
    numbered,
    yield_position,
)
from moonlet.satellites.common import require, value_of
from moonlet.satellites.messages import (
    DenyApproval,
    GrantApproval,
    RequestApproval,
    TradeExecuted,
    TradeFailed,
)

__all__ = ["aegis", "updated"]


def updated(
    state: Aegis, positions: Mapping[str, Position], more: Iterable[RiskAlert] = ()
) -> Decision:
    """Positions with new figures, then the alerts that this raises, then `more` of them."""
    after = replace(state, positions={**state.positions, **positions})
    for id, new in sorted(positions.items()):
        old = state.positions[id]
        yield PositionUpdated(
            id, new.protocol, new.collateral, new.debt, new.book, new.book - old.book,
            health_of(after, id),
        )  # fmt: skip
    yield from numbered(state, [*alerts_between(state, after, state.tick), *more])


@aegis.on_command
def request_approval(state: Aegis, command: RequestApproval, context: Context) -> Decision:
    """Judge a trade. A refusal is an answer, not a rejection: Forge must hear of it."""
    require(context, "forge", "a request for approval")
    trade = command.trade
    refusal = judge(state, trade, command.price, command.gas)
    if refusal:
        yield TradeRefused(trade, refusal)
        yield Send(context.sender, DenyApproval(trade.id, refusal), lane="high")
        return
    reserved = value_of(trade.amount, command.price) if trade.side == "move" else 0
    number = state.approvals + 1
    yield TradeApproved(number, trade, reserved)
    yield Send(context.sender, GrantApproval(number, trade), lane="high")


@aegis.on_command
def trade_executed(state: Aegis, command: TradeExecuted, context: Context) -> Decision:
    """Book what Forge has done; acknowledge the alerts it answers."""
    require(context, "forge", "an execution")
    trade = command.trade
    if trade.side == "move":
        yield ReservationReleased(trade.id)
        yield from _moved(state, command)
        return
    sold = _sold(state, command)
    yield from updated(state, sold, execution_alerts(state, command))
    if sold:
        yield ReductionSettled(trade.position, trade.id, done=True)
        for alert in state.alerts.values():
            if alert.subject == trade.position and alert.level in ("critical", "emergency"):
                yield AlertAcknowledged(alert.alert, context.sender)


def _sold(state: Aegis, command: TradeExecuted) -> dict[str, Position]:
    position = state.positions.get(command.trade.position)
    if position is None:
        return {}
    collateral = position.collateral - min(command.trade.amount, position.collateral)
    debt = position.debt - min(command.proceeds, position.debt)
    book = scaled(position.book, collateral, position.collateral)
    new = replace(position, collateral=collateral, debt=debt, book=book)
    return {command.trade.position: new}


def _moved(state: Aegis, command: TradeExecuted) -> Decision:
    trade = command.trade
    _, value = state.reserved.get(trade.id, ("", 0))
    changes = {}
    source = state.positions.get(yield_position(trade.source))
    if source is not None:
        left = source.collateral - min(trade.amount, source.collateral)
        book = scaled(source.book, left, source.collateral)
        changes[yield_position(trade.source)] = replace(source, collateral=left, book=book)
    id = yield_position(trade.target)
    target = state.positions.get(id)
    if target is not None:
        more = target.collateral + trade.amount
        changes[id] = replace(target, collateral=more, book=target.book + value)
    else:
        yield PositionAdded(
            id, trade.target, trade.asset, trade.amount, 0, 0, command.price, value, DEBT_FREE
        )
    yield from updated(state, changes, execution_alerts(state, command))


@aegis.on_command
def trade_failed(state: Aegis, command: TradeFailed, context: Context) -> Decision:
    """Free what was reserved; a reduction that failed is asked for again at the next price."""
    require(context, "forge", "a failure")
    trade = command.trade
    if trade.id in state.reserved:
        yield ReservationReleased(trade.id)
    if state.reductions.get(trade.position) == trade.id:
        yield ReductionSettled(trade.position, trade.id, done=False)
