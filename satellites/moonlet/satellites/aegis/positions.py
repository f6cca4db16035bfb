"""Positions: their health, the levels it falls through, and how to bring it back."""

from collections.abc import Iterable, Mapping
from typing import Final

from msgspec import Struct

from moonlet.satellites.aegis.messages import Level
from moonlet.satellites.common import BPS, amount_for, share_of, value_of

LEVELS: Final[tuple[tuple[Level, int], ...]] = (
    ("safe", 15_000),
    ("warning", 13_000),
    ("critical", 11_000),
    ("emergency", 10_500),
)
"""A level is entered when health (basis points) falls below its threshold."""

CRITICAL: Final = 3
"""The depth from which collateral is sold: critical, or emergency."""

DEBT_FREE: Final = 1_000_000_000
"""The health of a position that owes nothing."""

MAX_POSITIONS: Final = 1_000
MAX_BOOK: Final = 1_000_000_000_000
"""What one position may be worth when booked: a million dollars."""

MAX_SHARE: Final = 2_500
"""The share of the capital that may be booked in one protocol: 25 %."""


class Position(Struct, frozen=True):
    """Collateral in an asset, and debt in dollars; `book` is its worth when last booked."""

    protocol: str
    asset: str
    collateral: int
    debt: int
    threshold: int
    book: int


def health(position: Position, price: int) -> int:
    """What may be borrowed on the collateral over what is, in basis points, rounded down."""
    if position.debt == 0:
        return DEBT_FREE
    collateral = value_of(position.collateral, price)
    return min(collateral * position.threshold // position.debt, DEBT_FREE)


def depth(health: int) -> int:
    """How many levels a health lies below: 0 (none) to 4 (below emergency)."""
    return sum(health < threshold for _, threshold in LEVELS)


def entered(before: int, after: int) -> tuple[Level, ...]:
    """The levels that health fell through on its way, mildest first."""
    return tuple(level for level, _ in LEVELS[depth(before) : depth(after)])


def to_sell(position: Position, price: int, target: int) -> int:
    """How much collateral to sell at `price`, paying debt, for a health of `target`.

    From (C - x) * t / (D - x) = target, with C one millionth of a dollar less: what is kept is
    rounded down. All of it if even that is too little.
    """
    collateral = value_of(position.collateral, price)
    missing = target * position.debt - collateral * position.threshold
    if missing <= 0:
        return 0
    missing += position.threshold
    value = min(-(-missing // (target - position.threshold)), position.debt)
    return min(amount_for(value, price), position.collateral)


def booked(
    positions: Iterable[Position], reserved: Mapping[str, tuple[str, int]]
) -> dict[str, int]:
    """What is booked in each protocol, approved moves into it included."""
    totals: dict[str, int] = {}
    for position in positions:
        totals[position.protocol] = totals.get(position.protocol, 0) + position.book
    for protocol, value in reserved.values():
        totals[protocol] = totals.get(protocol, 0) + value
    return totals


def per_protocol(capital: int) -> int:
    """The most that may be booked in one protocol."""
    return share_of(capital, MAX_SHARE)


def scaled(book: int, part: int, whole: int) -> int:
    """A book value after `part` of `whole` is left, rounded up: never understated."""
    return -(-book * part // whole) if whole else 0


def exposure(positions: Iterable[Position], prices: Mapping[str, int]) -> dict[str, int]:
    """What is held in each protocol at today's prices."""
    totals: dict[str, int] = {}
    for position in positions:
        value = value_of(position.collateral, prices[position.asset])
        totals[position.protocol] = totals.get(position.protocol, 0) + value
    return totals


assert all(threshold > BPS for _, threshold in LEVELS)
