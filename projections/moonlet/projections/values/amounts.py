"""Numbers that are added up: int, Decimal and finite float, exact in bytes on every replica.

A total is kept per journal and added to in that journal's order, so even floats come out equal
everywhere; only where totals of several journals meet is the order that of the journals.
"""

import math
from collections.abc import Iterable
from decimal import Context, Decimal
from typing import Any, Final

from moonlet.core.errors import InvalidMessage

Amount = int | float | Decimal
WireAmount = int | float | str

MAX_AMOUNT: Final = 10**100
"""No amount may be larger; a total of very many still is finite."""

MAX_TOTAL: Final = MAX_AMOUNT * 10**20
"""What even the largest amounts of a whole journal stay below."""

# A context of our own: the thread's could differ between replicas.
_DECIMALS: Final = Context(prec=60)
_INT_MIN: Final = -(2**63)
_INT_MAX: Final = 2**63 - 1


def check_amount(amount: Any) -> Amount:
    """Return `amount` if it can be counted; raises `InvalidMessage`."""
    kind = type(amount)
    if kind is int or (kind is float and math.isfinite(amount)):
        pass
    elif kind is Decimal and amount.is_finite():
        pass
    else:
        raise InvalidMessage(
            f"{amount!r:.80} can't be counted: give an int, a Decimal or a finite float"
        )
    if not -MAX_AMOUNT <= amount <= MAX_AMOUNT:
        raise InvalidMessage(f"{amount!r:.80} can't be counted: its size is over 1e100")
    checked: Amount = amount
    return checked


def check_total(total: WireAmount) -> None:
    """Raise `InvalidMessage` unless this can be what amounts came to."""
    value = from_wire(total)
    is_finite = not isinstance(value, float) or math.isfinite(value)
    if not is_finite or not -MAX_TOTAL <= value <= MAX_TOTAL:
        raise InvalidMessage(f"{total!r:.80} can't be a total")


def plus(a: Amount, b: Amount) -> Amount:
    """The sum: int + Decimal is Decimal, anything with a float is float."""
    if type(a) is int and type(b) is int:
        return a + b
    if type(a) is float or type(b) is float:
        return float(a) + float(b)
    return _DECIMALS.add(_decimal(a), _decimal(b))


def minus(a: Amount, b: Amount) -> Amount:
    """The difference, of the same types as `plus`."""
    if type(a) is int and type(b) is int:
        return a - b
    return plus(a, -b if type(b) is not Decimal else _DECIMALS.minus(b))


def total(amounts: Iterable[Amount]) -> Amount:
    """The sum, in the order given."""
    result: Amount = 0
    for amount in amounts:
        result = plus(result, amount)
    return result


def order_key(amount: Amount) -> tuple[Amount, str, str]:
    """Orders numbers by size, and equal ones of other types or digits by those."""
    return amount, type(amount).__name__, str(amount)


def to_wire(amount: Amount) -> WireAmount:
    """Decimals as text, integers over 64 bits as text after an `i`; both JSON and MessagePack."""
    if isinstance(amount, int):
        return amount if _INT_MIN <= amount <= _INT_MAX else f"i{amount}"
    return str(amount) if isinstance(amount, Decimal) else amount


def from_wire(amount: WireAmount) -> Amount:
    """Undo `to_wire`; raises `InvalidMessage` for text that is no number."""
    if not isinstance(amount, str):
        return amount
    try:
        value: Amount = int(amount[1:]) if amount[:1] == "i" else Decimal(amount)
    except (ValueError, ArithmeticError):
        raise InvalidMessage(f"{amount!r:.80} is no number") from None
    if isinstance(value, Decimal) and not value.is_finite():
        raise InvalidMessage(f"{amount!r:.80} is no finite number")
    return value


def _decimal(amount: Amount) -> Decimal:
    return amount if type(amount) is Decimal else Decimal(amount)
