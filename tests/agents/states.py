"""States of which stored bytes don't tell all, each with an agent type that makes them."""

import dataclasses
import datetime as dt
import decimal
import enum
import uuid
from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec
import pydantic

from moonlet.agents import AgentType, Decision


class Tick(msgspec.Struct, frozen=True):
    n: int


class Ticked(msgspec.Struct, frozen=True):
    n: int


class Show(msgspec.Struct, frozen=True):
    """All of the state, as Python shows it."""


class Base(msgspec.Struct, frozen=True):
    a: int = 0


class Derived(Base, frozen=True):
    b: int = 0


class Color(enum.Enum):
    RED = "r"


class Level(enum.IntEnum):
    HIGH = 1


class Anything(msgspec.Struct, frozen=True):
    value: Any = None


class Kept(msgspec.Struct, frozen=True):
    value: Any = None


class OfBase(msgspec.Struct, frozen=True):
    item: Base = Base()


class Number(msgspec.Struct, frozen=True):
    n: int = 0


class Ratio(msgspec.Struct, frozen=True):
    r: float = 0.0


class Moment(msgspec.Struct, frozen=True):
    at: dt.datetime = dt.datetime(2026, 1, 1)


class Private(pydantic.BaseModel):
    n: int = 0
    _hits: int = pydantic.PrivateAttr(0)

    def __repr__(self) -> str:
        return f"Private({self.n}, {self._hits})"


@dataclasses.dataclass(frozen=True)
class Words:
    words: dict  # type: ignore[type-arg]


def ticking(name: str, state: Any, evolve: Callable[[Any, int], Any], initial: Any = None) -> Any:
    """An agent type whose state after each tick is what `evolve` makes of it."""
    made: AgentType[Any] = AgentType(name, state, initial=initial, partitions=1)

    @made.on_command
    def tick(state: Any, command: Tick) -> Decision:
        yield Ticked(command.n)

    @made.on_event
    def ticked(state: Any, event: Ticked) -> Any:
        return evolve(state, event.n)

    @made.on_query
    def show(state: Any, query: Show) -> str:
        return repr(state)

    return made


def _private(state: Private, n: int) -> Private:
    new = Private(n=n)
    new._hits = state._hits + 1
    return new


def _anything(make: Callable[[int], Any]) -> Callable[[Any, int], Any]:
    return lambda state, n: Anything(make(n))


CHANGED: dict[str, tuple[Any, str]] = {
    "decimal": (ticking("decimal", Anything, _anything(decimal.Decimal)), "$.value"),
    "naive": (ticking("naive", Anything, _anything(lambda n: dt.datetime(2026, 1, 1))), "$.value"),
    "tuple": (ticking("tuple", Anything, _anything(lambda n: {"v": (1, n)})), "$.value['v']"),
    "set": (ticking("set", Anything, _anything(lambda n: frozenset({n}))), "$.value"),
    "enum": (ticking("enum", Anything, _anything(lambda n: Color.RED)), "$.value"),
    "level": (ticking("level", Anything, _anything(lambda n: [Level.HIGH])), "$.value[0]"),
    "uuid": (ticking("uuid", Anything, _anything(lambda n: uuid.UUID(int=n))), "$.value"),
    "struct": (ticking("struct", Anything, _anything(Base)), "$.value"),
    "subclass": (ticking("subclass", OfBase, lambda s, n: OfBase(Derived(n, n))), "$.item"),
    "wei": (ticking("wei", Number, lambda s, n: Number(s.n + 10**19)), "$.n"),
    "whole": (ticking("whole", Ratio, lambda s, n: Ratio(n)), "$.r"),
    "autumn": (
        ticking("autumn", Moment, lambda s, n: Moment(dt.datetime(2026, 10, 25, 2, 30, fold=1))),
        "$.at",
    ),
    "private": (ticking("private", Private, _private), "$._hits"),
    "words": (
        ticking("words", Words, lambda s, n: Words(Counter(s.words) + Counter([n])), Words({})),
        "$.words",
    ),
}
"""By the agent type's name: the type, and the field that a snapshot would bring back changed."""
