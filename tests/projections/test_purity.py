"""Fold code that reaches a clock, chance or its own state by longer ways; and what it may use."""

import datetime
import enum
import functools
import os
import random
import re
import time
from collections import deque
from decimal import Decimal
from os import environ, getpid, urandom
from random import choice
from random import random as chance
from typing import Any

import msgspec
import pytest

from moonlet.projections import At, Fields, GSet, ImpureFold, LexCounter, View, ViewState
from tests.projections.helpers import Raised, commit, journals


class Helper:
    """An object of the fold's module."""

    def __init__(self) -> None:
        self.weight = 2

    @staticmethod
    def now() -> float:
        return time.time()

    @classmethod
    def later(cls) -> float:
        return time.time() + 1

    def drawn(self) -> float:
        return random.random()

    def __call__(self) -> float:
        return random.random()

    def doubled(self, number: int) -> int:
        return number * self.weight


def behind(function: Any) -> Any:
    @functools.wraps(function)
    def wrapper(*arguments: Any) -> Any:
        return function(*arguments)

    return wrapper


@behind
def wrapped() -> float:
    return time.time()


@functools.cache
def cached() -> float:
    return time.time()


helper = Helper()
generator = random.Random(7)
drawing = functools.partial(choice, [1, 2])
COUNTS: dict[str, int] = {}
SEEN: list[str] = []
RECENT: deque[str] = deque()


def set_item(key: str) -> None:
    COUNTS[key] = 1


def delete_item(key: str) -> None:
    del COUNTS[key]


def set_attribute() -> None:
    helper.weight = 3


IMPURE: dict[str, Any] = {
    "chance imported by name": lambda v, e, a: v.total.add(int(chance())),
    "a choice": lambda v, e, a: v.total.add(choice([1, 2])),
    "a generator with a seed": lambda v, e, a: v.total.add(int(generator.random())),
    "a partial function": lambda v, e, a: v.total.add(drawing()),
    "the environment": lambda v, e, a: v.texts.add(environ["HOME"]),
    "the environment by its module": lambda v, e, a: v.texts.add(os.environ["HOME"]),
    "the process": lambda v, e, a: v.total.add(getpid()),
    "bytes by chance": lambda v, e, a: v.total.add(urandom(1)[0]),
    "a class's clock": lambda v, e, a: v.total.add(int(Helper.now())),
    "a class method's clock": lambda v, e, a: v.total.add(int(Helper.later())),
    "an object's chance": lambda v, e, a: v.total.add(int(helper.drawn())),
    "an object that is called": lambda v, e, a: v.total.add(int(helper())),
    "behind a wrapper": lambda v, e, a: v.total.add(int(wrapped())),
    "behind a cache": lambda v, e, a: v.total.add(int(cached())),
    "the date": lambda v, e, a: v.total.add(datetime.date.today().day),
    "code from text": lambda v, e, a: v.total.add(eval("1")),
    "an import by name": lambda v, e, a: v.total.add(int(__import__("time").time())),
    "a table that is changed": lambda v, e, a: COUNTS.update(x=1),
    "a list that grows": lambda v, e, a: SEEN.append(e.alert),
    "a queue that grows": lambda v, e, a: RECENT.append(e.alert),
    "a key that is set": lambda v, e, a: set_item(e.alert),
    "a key that is removed": lambda v, e, a: delete_item(e.alert),
    "an attribute that is set": lambda v, e, a: set_attribute(),
}


def declared(handler: Any) -> View:
    view = View("v", version=1, total=LexCounter, texts=GSet)
    handler.__annotations__ = {"v": Fields, "e": Raised, "a": At}
    view.on_event(handler)
    return view


@pytest.mark.parametrize("way", IMPURE)
def test_longer_ways_out_of_a_fold_are_seen(way: str) -> None:
    with pytest.raises(ImpureFold):
        declared(IMPURE[way])


class Level(enum.Enum):
    HIGH = 3


class Limits(msgspec.Struct, frozen=True):
    most: int = 5

    @property
    def half(self) -> int:
        return self.most // 2


LIMITS = Limits()
RATES = {"aave": Decimal("0.5")}
WORD = re.compile(r"[a-z]+")
EPOCH = datetime.datetime(2023, 3, 10, tzinfo=datetime.UTC)


def plain(v: Fields, e: Raised, a: At) -> None:
    """Constants, tables, and containers of its own that are changed."""
    counts: dict[str, int] = {}
    counts[e.alert] = LIMITS.most
    counts.update(half=LIMITS.half)
    names = [*WORD.findall(e.alert)]
    names.append(Level.HIGH.name)
    names.sort()
    for name in names:
        v.texts.add(name)
    v.total.add(sum(counts.values()) + helper.doubled(2) + Level.HIGH.value)
    v.total.add(int(RATES["aave"] * 4) + int(EPOCH.year > 2000) + len(RECENT))


def test_a_fold_may_use_constants_and_change_what_is_its_own() -> None:
    state = ViewState(declared(plain), journals())
    state.fold(commit(1, Raised("usd")), "eu")
    assert state.value == {"texts": ["HIGH", "usd"], "total": 5 + 2 + 4 + 3 + 2 + 1}
