"""Numbers that are added: exact, of one form, through the wire and back."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moonlet.core.errors import InvalidMessage
from moonlet.projections.values.amounts import (
    MAX_AMOUNT,
    Amount,
    check_amount,
    from_wire,
    minus,
    order_key,
    plus,
    to_wire,
    total,
)

exact = st.one_of(
    st.integers(-MAX_AMOUNT, MAX_AMOUNT),
    st.decimals(-(10**30), 10**30, allow_nan=False, allow_infinity=False, places=8),
)
amounts = st.one_of(exact, st.floats(allow_nan=False, allow_infinity=False, width=32))
limits = settings(max_examples=300, deadline=None, database=None, derandomize=True)


@limits
@given(amounts)
def test_an_amount_is_the_same_after_json(amount: Amount) -> None:
    back = from_wire(json.loads(json.dumps(to_wire(check_amount(amount)))))
    assert order_key(back) == order_key(amount)


@limits
@given(st.lists(st.integers(-(10**30), 10**30)))
def test_integers_are_summed_exactly(numbers: list[int]) -> None:
    assert total(numbers) == sum(numbers)


@limits
@given(exact, st.integers(-(10**20), 10**20))
def test_minus_takes_back_what_plus_added(a: Amount, b: int) -> None:
    assert minus(plus(b, Decimal("0.5")), Decimal("0.5")) == b
    assert minus(plus(3, b), b) == 3


def test_sums_have_the_wider_type() -> None:
    assert type(plus(1, 2)) is int
    assert type(plus(1, Decimal(2))) is Decimal
    assert type(plus(Decimal(1), 2.0)) is float
    assert type(minus(1, 2.0)) is float
    assert type(minus(Decimal(1), 2)) is Decimal


def test_equal_numbers_of_other_forms_have_one_order() -> None:
    forms: list[Amount] = [1, 1.0, Decimal(1), Decimal("1.0")]
    assert len({order_key(form) for form in forms}) == 4
    assert max(forms, key=order_key) == max(reversed(forms), key=order_key)
    assert str(max(forms, key=order_key)) == str(max(reversed(forms), key=order_key))


@pytest.mark.parametrize(
    "amount", [float("nan"), float("-inf"), Decimal("NaN"), Decimal("Infinity"), True, "1", None,
               10**100 + 1, 1e101, Decimal("-1e101")]
)  # fmt: skip
def test_what_cannot_be_counted_is_refused(amount: Any) -> None:
    with pytest.raises(InvalidMessage):
        check_amount(amount)


@pytest.mark.parametrize("text", ["", "i", "ix", "many", "NaN", "-Infinity", "i1.5"])
def test_text_that_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(InvalidMessage):
        from_wire(text)
