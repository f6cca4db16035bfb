"""What a handler gets after storage is what was sent, or the sender is told."""

import dataclasses
import datetime as dt
import decimal
import enum
import uuid
from typing import Any, Generic, TypeVar
from zoneinfo import ZoneInfo

import msgspec
import pydantic
import pytest

from moonlet.core.codec import Encoding
from moonlet.core.errors import InvalidMessage
from moonlet.core.schema import MessageType

T = TypeVar("T")
BOTH = pytest.mark.parametrize("encoding", ["json", "msgpack"])
TWICE = dt.datetime(2026, 10, 25, 2, 30, fold=1)
BERLIN = ZoneInfo("Europe/Berlin")


class Base(msgspec.Struct, frozen=True):
    a: int = 0


class Derived(Base, frozen=True):
    b: int = 0


class Color(enum.StrEnum):
    RED = "r"


class Anything(msgspec.Struct, frozen=True):
    value: Any


class OfBase(msgspec.Struct, frozen=True):
    items: list[Base]


class Box(msgspec.Struct, Generic[T], frozen=True):
    item: T


class Timed(msgspec.Struct, frozen=True):
    at: dt.datetime


class Ratio(msgspec.Struct, frozen=True):
    r: float


@dataclasses.dataclass(frozen=True)
class Rows:
    rows: list  # type: ignore[type-arg]


class TwoAliases(pydantic.BaseModel):
    n: int = pydantic.Field(
        0, validation_alias=pydantic.AliasChoices("a", "n"), serialization_alias="b"
    )


class Computed(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow")
    n: int = 0

    @pydantic.computed_field
    def double(self) -> int:
        return 2 * self.n


class ComputedOnly(pydantic.BaseModel):
    n: int = 0

    @pydantic.computed_field
    def double(self) -> int:
        return 2 * self.n


class Open(pydantic.BaseModel):
    value: Any = None
    at: dt.datetime | None = None


class ModelBase(pydantic.BaseModel):
    a: int = 0


class ModelDerived(ModelBase):
    b: int = 0


class OfModel(pydantic.BaseModel):
    item: ModelBase = ModelBase()


TOLD: list[tuple[Any, str]] = [
    (Anything(decimal.Decimal("1.5")), "$.value"),
    (Anything((1, 2)), "$.value"),
    (Anything({"k": {1}}), "$.value['k']"),
    (Anything(dt.date(2026, 1, 1)), "$.value"),
    (Anything(uuid.UUID(int=1)), "$.value"),
    (Anything(Color.RED), "$.value"),
    (Anything(Base()), "$.value"),
    (OfBase([Base(), Derived()]), "$.items[1]"),
    (Box(decimal.Decimal(1)), "$.item"),
    (Rows([dt.timedelta(1)]), "$.rows[0]"),
    (Timed(TWICE), "$.at"),
    (Ratio(2**53 + 1), "$.r"),
    (TwoAliases.model_validate({"a": 5}), "$['n']"),
    (Computed(n=1), "$"),
    (Open(value=decimal.Decimal(1)), "$['value']"),
    (Open(value=Color.RED), "$['value']"),
    (Open(at=TWICE), "$['at']"),
    (OfModel(item=ModelDerived(b=1)), "$['item']"),
]


@BOTH
@pytest.mark.parametrize(("message", "path"), TOLD)
def test_who_sends_what_would_come_back_changed_is_told_the_field(
    message: Any, path: str, encoding: Encoding
) -> None:
    with pytest.raises(InvalidMessage, match="changes when it is stored and read again") as told:
        MessageType(type(message)).settle(message, encoding)
    assert told.value.path == path


@BOTH
@pytest.mark.parametrize(
    "message",
    [
        Anything({"k": [1, 2.5, None, "x", True]}),
        Anything(2**64 - 1),
        Anything(-(2**63)),
        OfBase([Base(1)]),
        OfBase((Base(1),)),  # type: ignore[arg-type]
        Box([1, {"a": 2**60 + 1}]),
        Timed(TWICE.replace(tzinfo=BERLIN)),
        Timed(TWICE.replace(fold=0, tzinfo=BERLIN)),
        Timed(dt.datetime(2026, 1, 1, tzinfo=dt.UTC)),
        Ratio(5),
        ComputedOnly(n=1),
        Open(value=[1, {"a": "b"}], at=dt.datetime(2026, 1, 1, tzinfo=dt.UTC)),
        OfModel(),
    ],
)
def test_what_comes_back_as_it_was_goes(message: Any, encoding: Encoding) -> None:
    _, settled = MessageType(type(message)).settle(message, encoding)
    if isinstance(message, Timed):
        assert settled.at.timestamp() == message.at.timestamp()
    elif not isinstance(message, OfBase):
        assert settled == message


def test_what_was_written_so_once_can_be_written_so_again() -> None:
    body, settled = MessageType(Anything).write(Anything((1,)), "json")
    assert (body, settled) == (b'{"value":[1]}', Anything([1]))
