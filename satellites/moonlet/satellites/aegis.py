"""Aegis: watches positions, raises alerts, and alone decides which trades may be executed."""

from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from moonlet.agents import Context, Decision, Rejected, Reply, Send
from moonlet.satellites.aegis_events import aegis
from moonlet.satellites.bounds import require_room
from moonlet.satellites.messages.aegis import (
    AcknowledgeAlert,
    AddPosition,
    AlertAcknowledged,
    CapitalSet,
    CollateralPriced,
    ExecuteLiquidation,
    PositionAdded,
    PositionRemoved,
    PositionUpdated,
    ProtocolFlagged,
    ReductionRequested,
    ReductionSettled,
    RemovePosition,
    RequestApproval,
    ReservationReleased,
    RiskAlert,
    RunMonteCarloSimulation,
    RunStressTest,
    SetCapital,
    TradeApproved,
    TradeRefused,
    UpdatePosition,
)
from moonlet.satellites.messages.forge import (
    DenyApproval,
    ExecuteOptimizedTransaction,
    GrantApproval,
)
from moonlet.satellites.messages.market import Prices, ProtocolRating, TradeExecuted, TradeFailed
from moonlet.satellites.peers import peer, require
from moonlet.satellites.positions import (
    CRITICAL,
    DEBT_FREE,
    MAX_BOOK,
    MAX_POSITIONS,
    Position,
    booked,
    depth,
    health,
    per_protocol,
    scaled,
)
from moonlet.satellites.stress import SCENARIOS, monte_carlo, stress
from moonlet.satellites.units import dollars, value_of
from moonlet.satellites.watch import (
    Aegis,
    alerts_between,
    execution_alerts,
    health_of,
    judge,
    liquidation,
    numbered,
    reductions_due,
    reserved_for,
    too_much,
    with_price,
    yield_position,
)

__all__ = ["aegis"]


@aegis.on_command
def set_capital(state: Aegis, command: SetCapital) -> Decision:
    """Set the capital; not so low that a protocol would be over its share."""
    fullest = max(booked(state.positions.values(), state.reserved).values(), default=0)
    if fullest > per_protocol(command.capital):
        raise Rejected(
            f"a protocol holds {dollars(fullest)}, over 25 % of {dollars(command.capital)}"
        )
    yield CapitalSet(command.capital)


@aegis.on_command
def add_position(state: Aegis, command: AddPosition) -> Decision:
    """Watch a position; a level it starts below is not entered, since it did not fall."""
    if command.id in state.positions:
        raise Rejected(f"there is a position {command.id} already")
    require_room(state.positions, command.id, "positions", MAX_POSITIONS - len(state.reserved))
    price = state.prices.get(command.asset, command.price)
    book = value_of(command.collateral, price)
    _check_size(state, command.id, command.protocol, book, book)
    position = Position(
        command.protocol, command.asset, command.collateral, command.debt, command.threshold, book
    )
    now = health(position, price)
    yield PositionAdded(
        command.id, command.protocol, command.asset, command.collateral, command.debt,
        command.threshold, price, book, now,
    )  # fmt: skip
    yield Reply(now)


def _check_size(state: Aegis, id: str, protocol: str, book: int, more: int) -> None:
    largest = book + reserved_for(state, id)
    if largest > MAX_BOOK:
        raise Rejected(f"{id} would be worth {dollars(largest)}, over {dollars(MAX_BOOK)}")
    refusal = too_much(state, protocol, more)
    if more > 0 and refusal:
        raise Rejected(refusal)


@aegis.on_command
def update_position(state: Aegis, command: UpdatePosition) -> Decision:
    """Set collateral and debt; falling through a level by it raises the alert, as a price does."""
    position = _position(state, command.id)
    book = value_of(command.collateral, state.prices[position.asset])
    _check_size(state, command.id, position.protocol, book, book - position.book)
    new = replace(position, collateral=command.collateral, debt=command.debt, book=book)
    yield from _updated(state, {command.id: new})
    yield Reply(book)


def _updated(
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
def remove_position(state: Aegis, command: RemovePosition) -> Decision:
    """Stop watching."""
    position = _position(state, command.id)
    yield PositionRemoved(command.id, position.protocol, position.book)


@aegis.on_command
def prices(state: Aegis, command: Prices, context: Context) -> Decision:
    """Value every position anew; alert what fell; have Forge sell what became critical."""
    require(context, "oracle", "a price")
    if command.tick < state.tick:
        raise Rejected(f"the price of tick {command.tick} is older than tick {state.tick}")
    yield CollateralPriced(command.asset, command.price, command.tick)
    before = (
        state if command.asset in state.prices else with_price(state, command.asset, command.price)
    )
    after = with_price(state, command.asset, command.price)
    yield from numbered(state, alerts_between(before, after, command.tick))
    for id, trade in reductions_due(before, after, command.tick):
        yield ReductionRequested(id, trade)
        yield Send(peer(context, "forge"), ExecuteOptimizedTransaction(trade), lane="high")


@aegis.on_command
def protocol_rating(state: Aegis, command: ProtocolRating, context: Context) -> Decision:
    """A protocol in which there are positions became critical: its contracts are suspect."""
    require(context, "sage", "a rating")
    is_critical = command.risk == "critical"
    if is_critical == (command.protocol in state.flagged):
        return
    yield ProtocolFlagged(command.protocol, is_critical)
    held = any(position.protocol == command.protocol for position in state.positions.values())
    if is_critical and held:
        name = command.protocol
        found = RiskAlert(0, "contract_vulnerability", "critical", name, name, 0, command.tick)
        yield from numbered(state, [found])


@aegis.on_command
def execute_liquidation(state: Aegis, command: ExecuteLiquidation, context: Context) -> Decision:
    """Have Forge sell enough of a critical position to pay all its debt."""
    position = _position(state, command.position)
    if depth(health_of(state, command.position)) < CRITICAL:
        raise Rejected(f"{command.position} is not critical: there is nothing to liquidate")
    if state.reductions.get(command.position):
        raise Rejected(f"a sale for {command.position} is under way already")
    trade = liquidation(state, command.position, position)
    yield ReductionRequested(command.position, trade)
    yield Send(peer(context, "forge"), ExecuteOptimizedTransaction(trade), lane="high")
    yield Reply(trade.id)


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
    yield from _updated(state, sold, execution_alerts(state, command))
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
    yield from _updated(state, changes, execution_alerts(state, command))


@aegis.on_command
def trade_failed(state: Aegis, command: TradeFailed, context: Context) -> Decision:
    """Free what was reserved; a reduction that failed is asked for again at the next price."""
    require(context, "forge", "a failure")
    trade = command.trade
    if trade.id in state.reserved:
        yield ReservationReleased(trade.id)
    if state.reductions.get(trade.position) == trade.id:
        yield ReductionSettled(trade.position, trade.id, done=False)


@aegis.on_command
def acknowledge_alert(state: Aegis, command: AcknowledgeAlert) -> Decision:
    """Close an open alert."""
    if command.alert not in state.alerts:
        raise Rejected(f"alert {command.alert} is not open")
    yield AlertAcknowledged(command.alert, command.by)


@aegis.on_command
def run_stress_test(state: Aegis, command: RunStressTest) -> Decision:
    """Run one scenario, or all five; replies with the outcomes."""
    if command.scenario and command.scenario not in SCENARIOS:
        raise Rejected(f"there is no scenario {command.scenario!r}: {', '.join(SCENARIOS)}")
    names = [command.scenario] if command.scenario else list(SCENARIOS)
    outcomes = [stress(name, state.positions, state.prices) for name in names]
    yield from outcomes
    yield Reply(outcomes)


@aegis.on_command
def run_monte_carlo_simulation(
    state: Aegis, command: RunMonteCarloSimulation, context: Context
) -> Decision:
    """Walk prices at random; the draws are the commit's own, so a replay counts the same."""
    outcome = monte_carlo(
        state.positions,
        state.prices,
        paths=command.paths,
        ticks=command.ticks,
        volatility=command.volatility,
        random=context.random,
    )
    yield outcome
    yield Reply(outcome)


def _position(state: Aegis, id: str) -> Position:
    position = state.positions.get(id)
    if position is None:
        raise Rejected(f"there is no position {id}")
    return position
