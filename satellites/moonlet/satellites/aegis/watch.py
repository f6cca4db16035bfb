"""What Aegis keeps in mind, and its judgement: when to alert, and which trades may be."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from moonlet.satellites.aegis.messages import Alarm, Level, RiskAlert
from moonlet.satellites.aegis.positions import (
    CRITICAL,
    MAX_BOOK,
    MAX_POSITIONS,
    Position,
    booked,
    depth,
    entered,
    exposure,
    health,
    per_protocol,
    to_sell,
)
from moonlet.satellites.common import (
    BPS,
    PEG,
    amount_for,
    dollars,
    percent,
    ratio,
    share_of,
    value_of,
)
from moonlet.satellites.messages import Trade, TradeExecuted

TARGET: Final = 12_500
"""The health that a reduction aims at, in basis points."""

SLIPPAGE: Final = 300
"""How far below the price seen a trade may be executed, in basis points."""

PRICE_DISTANCE: Final = 500
"""How far a plan's price may lie from Aegis's own, in basis points."""

GAS_SHARE: Final = 500
"""The most gas may cost of what a trade is worth, in basis points."""

IMPACT: Final = 100
"""An execution this far below Aegis's price (basis points) is worth an alert."""

MAX_ALERTS: Final = 1_000
"""Open alerts remembered; beyond it the oldest stands in the journal only."""


class Aegis(Struct, frozen=True):
    """Positions, the prices they are valued at, what was approved and what is open.

    `reserved`: approved moves by trade (protocol, value). `reductions`: position → the trade that
    was asked for, '' after one that failed. `approvals` is the highest number given.
    """

    capital: int = 0
    tick: int = 0
    prices: dict[str, int] = {}
    positions: dict[str, Position] = {}
    reserved: dict[str, tuple[str, int]] = {}
    reductions: dict[str, str] = {}
    alerts: dict[int, RiskAlert] = {}
    raised: int = 0
    approvals: int = 0
    flagged: tuple[str, ...] = ()


def with_price(state: Aegis, asset: str, price: int) -> Aegis:
    """The state as it would be at another price."""
    return replace(state, prices={**state.prices, asset: price})


def health_of(state: Aegis, id: str) -> int:
    """A position's health at today's price, in basis points."""
    position = state.positions[id]
    return health(position, state.prices[position.asset])


def alerts_between(before: Aegis, after: Aegis, tick: int) -> Iterator[RiskAlert]:
    """One alert per level that a position fell through, and per limit that was passed upward."""
    for kind, level, subject, protocol, value in _falls(before, after):
        yield RiskAlert(0, kind, level, subject, protocol, value, tick)


def numbered(state: Aegis, alerts: Iterable[RiskAlert]) -> Iterator[RiskAlert]:
    """The alerts with the numbers that come next."""
    for number, alert in enumerate(alerts, state.raised + 1):
        yield replace(alert, alert=number)


def _falls(before: Aegis, after: Aegis) -> Iterator[tuple[Alarm, Level, str, str, int]]:
    for id, position in sorted(after.positions.items()):
        if id not in before.positions:
            continue
        now = health_of(after, id)
        for level in entered(health_of(before, id), now):
            yield "liquidation_risk", level, id, position.protocol, now
        if _worth(before, id) <= MAX_BOOK < _worth(after, id):
            yield "position_size_exceeded", "warning", id, position.protocol, 0
    limit = per_protocol(after.capital)
    held = exposure(before.positions.values(), before.prices)
    holds = exposure(after.positions.values(), after.prices)
    for protocol, value in sorted(holds.items()):
        if held.get(protocol, 0) <= limit < value:
            yield "protocol_exposure_exceeded", "warning", protocol, protocol, 0


def _worth(state: Aegis, id: str) -> int:
    position = state.positions[id]
    return value_of(position.collateral, state.prices[position.asset])


def reductions_due(before: Aegis, after: Aegis, tick: int) -> Iterator[tuple[str, Trade]]:
    """The sales to ask for: positions that fell to critical or below, or whose sale has failed."""
    for id, position in sorted(after.positions.items()):
        now = depth(health_of(after, id))
        fell = now > depth(health_of(before, id))
        failed = before.reductions.get(id) == ""
        if now < CRITICAL or before.reductions.get(id) or not (fell or failed):
            continue
        trade = reduction(after, id, position, tick)
        if trade.amount > 0:
            yield id, trade


def reduction(state: Aegis, id: str, position: Position, tick: int) -> Trade:
    """The sale that brings a position back to `TARGET`."""
    price = state.prices[position.asset]
    amount = to_sell(position, price, TARGET)
    return sale(id, position, amount, price, tick, name=f"reduce-{id}-{tick}")


def liquidation(state: Aegis, id: str, position: Position) -> Trade:
    """The sale that pays all of a position's debt, or as much as its collateral can."""
    price = state.prices[position.asset]
    amount = min(amount_for(position.debt, price * (BPS - SLIPPAGE) // BPS), position.collateral)
    return sale(id, position, amount, price, state.tick, name=f"liquidate-{id}-{state.tick}")


def sale(id: str, of: Position, amount: int, price: int, tick: int, *, name: str) -> Trade:
    """A sale for a position, with the limit that slippage allows."""
    limit = max(1, price * (BPS - SLIPPAGE) // BPS)
    return Trade(
        name, "reduce", of.asset, "sell", amount, price, limit, tick, position=id, debt=of.debt
    )


def judge(state: Aegis, trade: Trade, price: int, gas: int) -> str:
    """Why a planned trade may not be executed; '' if it may."""
    known = state.prices.get(trade.asset)
    if known is None:
        return f"no price of {trade.asset} is known"
    if ratio(abs(price - known), known) > PRICE_DISTANCE:
        return f"its price lies over {percent(PRICE_DISTANCE)} from the market"
    value = value_of(trade.amount, price)
    if trade.amount == 0 or gas > value * GAS_SHARE // BPS:
        return f"gas of {dollars(gas)} is over {percent(GAS_SHARE)} of {dollars(value)}"
    if trade.purpose == "reduce":
        position = state.positions.get(trade.position)
        if position is None or trade.amount > position.collateral:
            return f"position {trade.position} has not got that much"
    if trade.purpose == "reallocate":
        return _judge_move(state, trade, value)
    return ""


def _judge_move(state: Aegis, trade: Trade, value: int) -> str:
    if trade.id in state.reserved:
        return f"{trade.id} was approved before"
    source = state.positions.get(yield_position(trade.source))
    if source is None or trade.amount > source.collateral:
        return f"{trade.source} has not got that much"
    id = yield_position(trade.target)
    target = state.positions.get(id)
    if target is None and len(state.positions) + len(state.reserved) >= MAX_POSITIONS:
        return f"{MAX_POSITIONS:,} positions are the limit"
    if (target.book if target else 0) + reserved_for(state, id) + value > MAX_BOOK:
        return f"the position in {trade.target} would be worth over {dollars(MAX_BOOK)}"
    return too_much(state, trade.target, value)


def reserved_for(state: Aegis, id: str) -> int:
    """What approved moves will add to a position."""
    return sum(value for to, value in state.reserved.values() if yield_position(to) == id)


def too_much(state: Aegis, protocol: str, more: int) -> str:
    """Why `more` (micro-dollars) may not be booked in a protocol; '' if it may."""
    value = booked(state.positions.values(), state.reserved).get(protocol, 0) + more
    if value > per_protocol(state.capital):
        return (
            f"{protocol} would hold {percent(ratio(value, state.capital or PEG))} of the capital,"
            " over 25 %"
        )
    return ""


def yield_position(protocol: str) -> str:
    """The id of the debt-free position that stands for Pulse's money in a protocol."""
    return f"yield-{protocol}"


def execution_alerts(state: Aegis, done: TradeExecuted) -> Iterator[RiskAlert]:
    """What an execution itself gives reason to: someone ran ahead of it, or its price was poor."""
    trade = done.trade
    subject = trade.position or trade.lot or trade.id
    if done.sandwiched:
        yield RiskAlert(
            0, "mev_exposure", "warning", subject, trade.target or done.chain, 0, trade.tick
        )
    known = state.prices.get(trade.asset, done.price)
    if done.price < known - share_of(known, IMPACT):
        yield RiskAlert(
            0, "price_impact_high", "warning", subject, trade.target or done.chain, 0, trade.tick
        )


def open_alerts(alerts: Mapping[int, RiskAlert], new: RiskAlert) -> dict[int, RiskAlert]:
    """The alerts with a new one, the oldest forgotten where there are too many."""
    kept = dict(alerts)
    kept[new.alert] = new
    while len(kept) > MAX_ALERTS:
        del kept[next(iter(kept))]
    return kept
