"""How several sources become one price, and how far each lies from it."""

from collections.abc import Mapping, Sequence

from moonlet.satellites.common import BPS
from moonlet.satellites.oracle.messages import Aggregation, Deviation, Reading


def aggregate(
    readings: Sequence[Reading], how: Aggregation, reliability: Mapping[str, int], close: int
) -> int:
    """One price from at least one reading; never outside the lowest and the highest.

    `reliability` (basis points, by source) weighs the 'weighted' mean; 'majority' is the median of
    the largest group whose values lie within `close` basis points of its lowest.
    """
    values = sorted(reading.value for reading in readings)
    if how == "median":
        return median(values)
    if how == "mean":
        return sum(values) // len(values)
    if how == "weighted":
        weights = [max(1, reliability.get(reading.source, BPS)) for reading in readings]
        total = sum(
            weight * reading.value for weight, reading in zip(weights, readings, strict=True)
        )
        return total // sum(weights)
    groups = [
        [value for value in values if low <= value <= low + low * close // BPS] for low in values
    ]
    return median(max(groups, key=len))


def median(values: Sequence[int]) -> int:
    """The middle of sorted values; the lower middle of an even number, so that it was observed."""
    return values[(len(values) - 1) // 2]


def deviations(readings: Sequence[Reading], price: int) -> tuple[Deviation, ...]:
    """Each source's distance from the price in basis points, signed, rounded away from zero."""
    return tuple(
        Deviation(reading.source, reading.value, _away(reading.value - price, price))
        for reading in readings
    )


def _away(difference: int, price: int) -> int:
    size = -(-abs(difference) * BPS // price)
    return size if difference >= 0 else -size
