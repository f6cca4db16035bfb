"""Aegis: watches positions, raises alerts, and alone decides which trades may be executed."""

from msgspec.structs import replace

from moonlet.agents import Context, Decision, Rejected, Reply, Send
from moonlet.satellites.aegis.messages import (
    AcknowledgeAlert,
    AddPosition,
    AlertAcknowledged,
    CapitalSet,
    CollateralPriced,
    ExecuteLiquidation,
    PositionAdded,
    PositionRemoved,
    ProtocolFlagged,
    ReductionRequested,
    RemovePosition,
    RiskAlert,
    RunMonteCarloSimulation,
    RunStressTest,
    SetCapital,
    UpdatePosition,
)
from moonlet.satellites.aegis.positions import (
    CRITICAL,
    MAX_BOOK,
    MAX_POSITIONS,
    Position,
    booked,
    depth,
    health,
    per_protocol,
)
from moonlet.satellites.aegis.stress import SCENARIOS, monte_carlo, stress
from moonlet.satellites.aegis.trades import aegis, updated
from moonlet.satellites.aegis.watch import (
    Aegis,
    alerts_between,
    health_of,
    liquidation,
    numbered,
    reductions_due,
    reserved_for,
    too_much,
    with_price,
)
from moonlet.satellites.common import dollars, peer, require, require_room, value_of
from moonlet.satellites.messages import (
    AlertClosed,
    CloseAlert,
    ExecuteOptimizedTransaction,
    Prices,
    ProtocolRating,
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
    yield from updated(state, {command.id: new})
    yield Reply(book)


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
    after = with_price(state, command.asset, command.price)
    yield from numbered(state, alerts_between(state, after, command.tick))
    for id, trade in reductions_due(state, after, command.tick):
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
def acknowledge_alert(state: Aegis, command: AcknowledgeAlert) -> Decision:
    """Close an open alert."""
    if command.alert not in state.alerts:
        raise Rejected(f"alert {command.alert} is not open")
    yield AlertAcknowledged(command.alert, command.by)


@aegis.on_command
def close_alert(state: Aegis, command: CloseAlert, context: Context) -> Decision:
    """Record what an operator saw and acknowledged; one of Aegis's own alerts is closed by it."""
    raiser, name = command.alert.split(" ")
    number = int(name) if raiser == context.self_id and name.isdecimal() else 0
    if number in state.alerts:
        yield AlertAcknowledged(number, command.by)
    yield AlertClosed(command.alert, command.by, command.observed)


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
