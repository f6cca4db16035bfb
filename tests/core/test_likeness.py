"""What was stored and read again: alike, or where it isn't."""

import dataclasses
import datetime as dt
import decimal
import enum
import functools
import uuid
from collections import Counter, OrderedDict
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonlet.core.likeness import (
    alike,
    any_key,
    can_differ,
    declared_by,
    first_unlike,
    is_fixed,
    unencodable,
)

BERLIN = ZoneInfo("Europe/Berlin")
TWICE = dt.datetime(2026, 10, 25, 2, 30, fold=1)


class Base(msgspec.Struct, frozen=True):
    a: int = 0


class Derived(Base, frozen=True):
    """Has nothing of its own but its class."""


class Point(NamedTuple):
    x: int


class Color(enum.StrEnum):
    RED = "r"


class Model(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow")
    n: int = 0
    _hidden: int = pydantic.PrivateAttr(0)


@dataclasses.dataclass
class Lazy:
    n: int

    @functools.cached_property
    def double(self) -> int:
        return 2 * self.n


@dataclasses.dataclass(slots=True)
class Slotted:
    n: int


def model(n: int, hidden: int = 0, **extra: Any) -> Model:
    made = Model(n=n, **extra)
    made._hidden = hidden
    return made


UNLIKE: list[tuple[Any, Any]] = [
    (1, True),
    (1, 1.0),
    (0.0, -0.0),
    ("r", Color.RED),
    ((1,), [1]),
    ({1}, frozenset({1})),
    ({1}, {True}),
    ({1: "a"}, {True: "a"}),
    (Counter("a"), {"a": 1}),
    (OrderedDict(a=1), {"a": 1}),
    (decimal.Decimal("1.0"), decimal.Decimal("1.00")),
    (TWICE, TWICE.replace(fold=0)),
    (TWICE.replace(tzinfo=BERLIN), TWICE.replace(tzinfo=dt.timezone(dt.timedelta(hours=1)))),
    (dt.time(2, 30, fold=1), dt.time(2, 30)),
    (Base(1), Derived(1)),
    (Point(1), (1,)),
    (model(1, 1), model(1)),
    (model(1, more=1), model(1)),
    (Slotted(1), Slotted(2)),
    (Lazy(1), Lazy(2)),
    ([1, [2, {"k": (3,)}]], [1, [2, {"k": [3]}]]),
    (bytearray(b"a"), b"a"),
]

ALIKE: list[Any] = [
    {"b": 1, "a": [None, 1.5, "x", b"y", True]},
    frozenset({"a", "b"}),
    float("nan"),
    TWICE,
    TWICE.replace(tzinfo=BERLIN),
    dt.timedelta(1),
    uuid.UUID(int=1),
    [Base(1), Base(2)],
    {"k": Base(1)},
    Point(1),
    Color.RED,
    Slotted(1),
    [Lazy(1), Lazy(2)],
    [model(1, 2, more=[1])],
    decimal.Decimal("1.0"),
]


@pytest.mark.parametrize(("value", "again"), UNLIKE)
def test_what_differs_in_type_or_in_what_equality_is_blind_for_is_unlike(
    value: Any, again: Any
) -> None:
    for deep in (lambda v: v, lambda v: [v], lambda v: {"k": (v, 1)}, lambda v: Lazy(v)):
        assert first_unlike(deep(value), deep(again)) is not None
        if value != 0:  # zeros of two signs are left to those who look closely
            assert not alike(deep(value), deep(again))


@pytest.mark.parametrize("value", ALIKE)
def test_a_copy_is_alike(value: Any) -> None:
    again = msgspec.convert(value, type(value)) if isinstance(value, Base) else value
    copied = __import__("copy").deepcopy(again)
    assert first_unlike([value], [copied]) is None


def test_what_was_worked_out_at_its_first_use_makes_no_difference() -> None:
    used = Lazy(1)
    assert used.double == 2
    assert first_unlike(used, Lazy(1)) is None


def test_zones_of_one_fixed_offset_are_alike_and_the_order_of_dicts_does_not_count() -> None:
    noon = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
    assert first_unlike(noon, noon.replace(tzinfo=ZoneInfo("UTC"))) is None
    assert first_unlike({"a": 1, "b": 2}, {"b": 2, "a": 1}) is None


def test_the_place_is_named_by_its_path() -> None:
    found = first_unlike({"k": [Base(1), {"v": (1, 2)}]}, {"k": [Base(1), {"v": [1, 2]}]})
    assert found is not None
    assert found == ("$['k'][1]['v']", "(1, 2)", "[1, 2]")
    assert any_key(found.path) == "$[...][...][...]"


def test_what_is_nested_too_deep_is_said_to_be() -> None:
    deep: list[Any] = []
    other: list[Any] = []
    for _ in range(100_000):
        deep, other = [deep], [other]
    found = first_unlike(deep, other)
    assert found is not None and found.was == "nested too deep"
    assert not alike(deep, other)


class Declaring(msgspec.Struct, frozen=True):
    item: Base = Base()
    ratio: float = 0.0
    names: list[str] = []
    price: decimal.Decimal = decimal.Decimal(0)
    color: Color = Color.RED
    at: dt.datetime | None = None
    anything: Any = None


@pytest.mark.parametrize(
    "given_",
    [
        {"ratio": 1},
        {"names": ("a",)},
        {"price": 5},
        {"price": 0.1},
        {"color": "r"},
        {"item": {"a": 0}},
        {"at": TWICE.replace(tzinfo=BERLIN)},
        {"anything": {"k": [1, 2.5, "x", None]}},
    ],
)
def test_where_one_type_is_declared_what_is_written_as_it_is_becomes_it(
    given_: dict[str, Any],
) -> None:
    value = Declaring(**given_)
    again = msgspec.json.decode(msgspec.json.encode(value), type=Declaring)
    assert first_unlike(value, again, declared_by(Declaring)) is None


@pytest.mark.parametrize(
    ("given_", "path"),
    [
        ({"item": Derived()}, "$.item"),
        ({"ratio": 2**53 + 1}, "$.ratio"),
        ({"at": TWICE}, "$.at"),
        ({"anything": (1,)}, "$.anything"),
        ({"anything": {"k": decimal.Decimal(1)}}, "$.anything['k']"),
        ({"anything": Color.RED}, "$.anything"),
        ({"anything": {1: 2}}, "$.anything[1]"),
    ],
)
def test_what_is_lost_is_found_also_where_a_type_is_declared(
    given_: dict[str, Any], path: str
) -> None:
    value = Declaring(**given_)
    again = msgspec.json.decode(msgspec.json.encode(value), type=Declaring)
    found = first_unlike(value, again, declared_by(Declaring))
    assert found is not None and found.path == path


def test_classes_that_can_only_be_read_as_they_were_written_need_no_comparing() -> None:
    class Plain(msgspec.Struct, frozen=True):
        n: int
        names: dict[str, list[str]]
        color: Color
        maybe: int | None = None

    assert can_differ(Plain, declared_by(Plain)) == (False, False)
    assert can_differ(Declaring, declared_by(Declaring)) == (True, True)
    nested = msgspec.defstruct("Nested", [("item", Base)])
    assert can_differ(nested, declared_by(nested)) == (True, False)
    ratio = msgspec.defstruct("Ratio", [("r", float)])
    assert can_differ(ratio, declared_by(ratio)) == (True, False)


def test_what_cannot_be_encoded_is_named() -> None:
    value = {"a": 1, "b": [Base(1), {"c": 2**70}]}
    assert unencodable(value, msgspec.msgpack.encode) == "$['b'][1]['c']"
    assert unencodable(object(), msgspec.msgpack.encode) == "$"


def test_what_nothing_can_change_is_fixed() -> None:
    assert is_fixed((1, "a", Base(1), frozenset({decimal.Decimal(1)}), TWICE))
    changing: Any
    for changing in ([], {}, Lazy(1), Declaring(), (1, [])):
        assert not is_fixed(changing)


rows = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=20,
)


@given(rows)
def test_plain_data_comes_back_and_both_ways_of_comparing_say_so(value: Any) -> None:
    again = msgspec.msgpack.decode(msgspec.msgpack.encode(value))
    assert first_unlike(value, again) is None


@given(rows, rows)
def test_who_compares_by_columns_calls_nothing_alike_that_is_not(a: Any, b: Any) -> None:
    if alike(a, b):
        found = first_unlike(a, b)
        assert found is None or found.was in ("0.0", "-0.0")
