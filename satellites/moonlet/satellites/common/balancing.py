"""From what is held to what is wanted, in few transfers."""

from collections.abc import Mapping

from moonlet.satellites.common.units import share_of


def wanted_by_share(held: Mapping[str, int], shares: Mapping[str, int]) -> dict[str, int]:
    """What each place should hold: its share (basis points) of all that is held."""
    total = sum(held.values())
    return {place: share_of(total, share) for place, share in shares.items()}


def transfers(
    held: Mapping[str, int], wanted: Mapping[str, int]
) -> tuple[tuple[str, str, int], ...]:
    """Who gives whom how much, in the order of names.

    No one gives more than they hold too much, no one gets more than they lack.
    """
    places = sorted({*held, *wanted})
    surplus = {place: held.get(place, 0) - wanted.get(place, 0) for place in places}
    found = []
    for taker in places:
        for giver in places:
            part = min(-surplus[taker], surplus[giver])
            if part > 0:
                found.append((giver, taker, part))
                surplus[giver] -= part
                surplus[taker] += part
    return tuple(found)
