"""Units: all quantities are whole numbers, so that every platform and replay counts the same.

Money is in micro-dollars, amounts in micro-tokens, prices in micro-dollars per token, shares and
health in basis points (10,000 is 1.0). `tick` counts the feed's prices from 1; `at` is market
time in seconds since 1970, which has nothing to do with the clock on the wall.
"""

from typing import Annotated, Final

from msgspec import Meta

MICRO: Final = 1_000_000
"""Micro-dollars in a dollar, micro-tokens in a token."""

BPS: Final = 10_000
"""Basis points in one."""

PEG: Final = MICRO
"""What a dollar token is worth when all is well, in micro-dollars."""

Money = Annotated[int, Meta(ge=0, le=10**18)]
Signed = Annotated[int, Meta(ge=-(10**18), le=10**18)]
Amount = Annotated[int, Meta(ge=0, le=10**15)]
Price = Annotated[int, Meta(gt=0, le=10**12)]
Share = Annotated[int, Meta(ge=0, le=BPS)]
Basis = Annotated[int, Meta(ge=-BPS, le=BPS)]
Mood = Basis
Tick = Annotated[int, Meta(ge=0, le=10**9)]
Time = Annotated[int, Meta(ge=0, le=10**11)]
Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
Text = Annotated[str, Meta(max_length=1_000)]


def value_of(amount: int, price: int) -> int:
    """What an amount is worth, in micro-dollars, rounded down."""
    return amount * price // MICRO


def amount_for(value: int, price: int) -> int:
    """The least amount that is worth at least `value`."""
    return -(-value * MICRO // price)


def share_of(value: int, part: int) -> int:
    """`part` basis points of a value, rounded down."""
    return value * part // BPS


def ratio(part: int, whole: int) -> int:
    """`part` of `whole` in basis points, rounded down; 0 of nothing."""
    return part * BPS // whole if whole else 0


def smoothed(before: int, sample: int, weight: int) -> int:
    """An exponential moving average: `weight` basis points of the new sample."""
    return (before * (BPS - weight) + sample * weight) // BPS


def percent(bps: int) -> str:
    """Basis points as people read them: 2_850 is '28.5 %'."""
    whole, rest = divmod(abs(bps), 100)
    tail = f".{rest:02d}".rstrip("0") if rest else ""
    return f"{'-' if bps < 0 else ''}{whole}{tail} %"


def dollars(money: int) -> str:
    """Micro-dollars as people read them, to the cent, rounded toward zero."""
    cents = abs(money) // 10_000
    return f"{'-' if money < 0 else ''}${cents // 100:,}.{cents % 100:02d}"
