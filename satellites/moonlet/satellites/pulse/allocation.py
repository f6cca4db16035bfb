"""Where money may go: allocations stay within their bounds, and no move makes or loses any."""

from collections.abc import Collection, Mapping
from typing import Final

from msgspec import Struct

from moonlet.satellites.common import share_of
from moonlet.satellites.pulse.messages import Advice, Category

MAX_SHARE: Final = 4_500
"""The share of Pulse's capital that one protocol may hold: 45 %."""

CATEGORIES: Final[tuple[tuple[Category, int], ...]] = (("sustainable", 70), ("watch", 50))
"""The lowest score of each; below the last a protocol is unsustainable."""

ADVICE: Final[Mapping[Category, Advice]] = {
    "sustainable": "hold",
    "watch": "reduce",
    "unsustainable": "exit",
}
ORDER: Final[tuple[Category, ...]] = ("unsustainable", "watch", "sustainable")
MIN_MOVE: Final = 1_000_000_000
"""A move of less (micro-tokens) isn't worth its gas."""


class AllocationMove(Struct, frozen=True):
    """An amount from one protocol to another."""

    source: str
    target: str
    amount: int


def category_of(score: int) -> Category:
    """The category of a score."""
    return next((name for name, least in CATEGORIES if score >= least), "unsustainable")


def worse(before: Category, after: Category) -> bool:
    """Whether `after` is a worse category than `before`."""
    return ORDER.index(after) < ORDER.index(before)


def to_move(held: int, advice: Advice) -> int:
    """How much should leave a protocol: all of it, half of it, or nothing."""
    return {"exit": held, "reduce": held // 2, "hold": 0}[advice]


def plan_moves(
    held: Mapping[str, int],
    incoming: Mapping[str, int],
    source: str,
    amount: int,
    targets: Mapping[str, int],
) -> list[AllocationMove]:
    """Spread `amount` of `source` over the targets (protocol → yield), best yield first.

    No target ends over `MAX_SHARE` of all that is held, moves under way (`incoming`) counted;
    what finds no room stays. Never more leaves than is held.
    """
    limit = share_of(sum(held.values()), MAX_SHARE)
    left = min(amount, held.get(source, 0))
    moves = []
    for target, _ in sorted(targets.items(), key=lambda item: (-item[1], item[0])):
        room = limit - held.get(target, 0) - incoming.get(target, 0)
        part = min(left, room)
        if target != source and part >= MIN_MOVE:
            moves.append(AllocationMove(source, target, part))
            left -= part
    return moves


def spread(
    capital: int, yields: Mapping[str, int], tolerance: int, preferred: Collection[str]
) -> dict[str, int]:
    """Split capital over protocols, best first, none over a share that grows with tolerance.

    Between 20 % (tolerance 0) and 45 % (10,000) each; preferred protocols come first. What is
    beyond all bounds stays unallocated.
    """
    share = 2_000 + (MAX_SHARE - 2_000) * tolerance // 10_000
    limit = share_of(capital, share)
    left = capital
    shares: dict[str, int] = {}
    ordered = sorted(yields.items(), key=lambda item: (item[0] not in preferred, -item[1], item[0]))
    for protocol, _ in ordered:
        part = min(left, limit)
        if part > 0:
            shares[protocol] = part
            left -= part
    return shares


def blended(shares: Mapping[str, int], yields: Mapping[str, int], capital: int) -> int:
    """The yield of a spread in basis points of the whole capital, rounded down."""
    earned = sum(amount * yields[protocol] for protocol, amount in shares.items())
    return earned // capital if capital else 0
