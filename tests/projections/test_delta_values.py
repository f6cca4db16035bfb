"""Deltas whose frame is right and whose rows lie: refused, or joined to what can be read and saved.

Whoever may publish to a view's subjects can make these; a replica must not die of them.
"""

import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from moonlet.core.errors import MoonletError
from moonlet.projections import (
    DeltaGap,
    DeltaRefused,
    MemoryDisk,
    ViewDatabase,
    apply_delta,
    make_delta,
)
from moonlet.projections.fields.dot_join import Put
from tests.projections import world
from tests.projections.helpers import Opened, Rated, commit, new_state
from tests.projections.test_delta import body_of, refused, sealed

NOT_PLAIN: dict[str, Any] = {
    "an extension": msgspec.msgpack.Ext(5, b"abc"),
    "an extension in a list": [msgspec.msgpack.Ext(5, b"abc")],
    "a time": datetime(2026, 1, 1, tzinfo=UTC),
    "no number": float("nan"),
    "infinity in a list": [1, float("inf")],
    "bytes": b"ab",
    "a table by nothing": {None: 1},
    "a table by bytes": {b"a": 1},
}
NOT_TIMED: dict[str, Any] = {
    "no list": 5,
    "too short a list": [1, 0],
    "too long a list": [1, 0, "x", 1],
    "words for a time": ["a", "b", "c"],
    "a list for a time": [[1], 0, "x"],
    "truth for a time": [True, 0, "x"],
    "what is not plain": [1, 0, {None: 1}],
}


def with_value(field: str, key: str, value: Any) -> bytes:
    """A delta in which the row has this value, as only a forger writes it."""
    state = new_state()
    state.fold(commit(1, Rated("x"), Opened("aave", 1)), "asia")
    store: Any = state.stores[field]
    store.rows[key] = Put(store.rows[key].dot, value)
    return make_delta(state)


@pytest.mark.parametrize("what", NOT_PLAIN)
@pytest.mark.parametrize("held", [False, True], ids=["new", "beside another"])
def test_a_value_that_no_event_can_have_is_refused(what: str, held: bool) -> None:
    state = new_state()
    if held:
        state.fold(commit(1, Rated("y"), Opened("aave", 1)), "eu")
    assert refused(state, with_value("risk", "", NOT_PLAIN[what])).fault == "forged"


@pytest.mark.parametrize("what", NOT_TIMED)
@pytest.mark.parametrize("held", [False, True], ids=["new", "beside another"])
def test_a_latest_value_without_its_time_is_refused(what: str, held: bool) -> None:
    state = new_state()
    if held:
        state.fold(commit(1, Rated("y"), Opened("aave", 1)), "eu")
    assert refused(state, with_value("notes", "aave", NOT_TIMED[what])).fault == "forged"


def test_plain_values_of_all_kinds_pass() -> None:
    values = ["x", 5, 0.5, True, None, 2**64 - 1, -(2**63), [1, ["a", {}]], {"a": {"b": None}}]
    state = new_state()
    apply_delta(state, with_value("risk", "", values))
    apply_delta(new_state(), with_value("notes", "aave", [2**50, 3, values]))
    assert state.value["risk"] == [values]


WRONG_KEYS = {
    "a set's element in a map of sets": ("owners", 0, "x", 1),
    "one of several in a map of sets": ("owners", 1, "x", [1, 2]),
    "an empty one in a map of sets": ("owners", 2, None, "x"),
    "a removal ahead in a map of sets": ("owners", 3, "x", [1]),
    "an element of a map of sets in a set": ("tags", 0, "a\x1fb", 1),
    "a key in what has none": ("flag", 0, "x", 1),
    "a key in a counter that has none": ("total", 0, "x", [1, 5, 0, 0]),
}


@pytest.mark.parametrize("what", WRONG_KEYS)
def test_keys_of_another_type_are_refused(what: str) -> None:
    field, part, key, value = WRONG_KEYS[what]
    state = world.new_state()
    body = body_of(state)
    section = body[5][list(state.stores).index(field)]
    if key is None:
        section[part].append(value)
    else:
        section[part][key] = value
    body[3][0] = 1  # else there is nothing new in it
    with pytest.raises(DeltaRefused, match="keys of another type"):
        apply_delta(state, sealed(body))
    assert state.canonical() == world.new_state().canonical()


ODD = [
    b"\xcf" + b"\xff" * 8, b"\xd3\x80" + b"\0" * 7, b"\xff", b"\xdf\xff\xff\xff\xff", b"\xc0",
    b"\xcb\x7f\xf8" + b"\0" * 6, b"\xa3NaN", b"\xa5i9999", b"\xa51e400", b"\x80", b"\x91" * 200,
    b"\xc7\x03\x05abc", b"\xd6\xff\0\0\0\1", b"\x81\xc0\x01", b"\xc4\x02ab", b"\xa2\xff\xfe",
]  # fmt: skip
"""Bytes that mean something in MessagePack, mostly something wrong."""


def changed(chance: random.Random, data: bytes) -> bytes:
    """One or two odd bytes, behind the identity."""
    result = bytearray(data)
    for _ in range(chance.choice((1, 1, 2))):
        place, odd = chance.randrange(18, len(result)), chance.choice(ODD)
        if chance.random() < 0.5:
            result[place] = chance.randrange(256)
        else:
            result[place : place + chance.choice((1, len(odd)))] = odd
    return bytes(result)


def is_joined(held: bytes | None, delta: bytes) -> bool:
    """Whether it is, by a replica that holds `held`: the state can be read, saved, handed on."""
    state = world.new_state()
    database = ViewDatabase(Path("view.db"), state, disk=MemoryDisk())
    if held is not None:
        apply_delta(state, held)
    before = state.canonical(), list(state.vector)
    try:
        apply_delta(state, delta)
    except MoonletError as error:
        assert isinstance(error, DeltaRefused | DeltaGap), repr(error)
        assert (state.canonical(), state.vector) == before
        database.close()
        return False
    database.save()
    database.close()
    msgspec.json.encode(state.value)
    other = world.new_state()
    apply_delta(other, make_delta(state))
    assert other.canonical() == state.canonical()
    return True


def test_deltas_with_odd_bytes_are_refused_or_joined_to_something_whole() -> None:
    chance = random.Random(11)
    joined = 0
    for _ in range(3):
        model = world.World()
        model.verbs = list(world.DRAWN)
        model.focus = lambda digits: None  # type: ignore[method-assign]
        model.run([chance.getrandbits(80) for _ in range(60)])
        body = msgspec.msgpack.encode(body_of(model.replicas[0]))
        for number in range(120):
            held = make_delta(model.replicas[1]) if number % 2 else None
            joined += is_joined(held, sealed(changed(chance, body)))
    assert joined > 10, "some of them are only of another value"
