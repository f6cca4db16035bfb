"""Digests: one changed bit shows, the order of a dict or a set does not."""

import dataclasses
import subprocess
import sys
from typing import Any

import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonlet.core.digest import record_digest, state_digest


class Book(msgspec.Struct, frozen=True):
    prices: dict[str, int] = {}
    seen: frozenset[str] = frozenset()
    by_number: dict[int, str] = {}
    nested: dict[str, dict[int, frozenset[int]]] = {}


@dataclasses.dataclass(frozen=True)
class Ledger:
    accounts: dict[str, int]


class Model(pydantic.BaseModel):
    prices: dict[str, int] = {}
    seen: set[str] = set()


@given(st.dictionaries(st.text(max_size=3), st.integers(-9, 9)), st.randoms())
def test_a_state_digest_does_not_depend_on_the_order_of_dicts(
    prices: dict[str, int], rng: Any
) -> None:
    kinds: list[Any] = [Book, Ledger, Model]
    items = list(prices.items())
    rng.shuffle(items)
    for state in kinds:
        field = "accounts" if state is Ledger else "prices"
        assert state_digest(state(**{field: prices})) == state_digest(state(**{field: dict(items)}))


@given(st.dictionaries(st.integers(), st.text(max_size=2)))
def test_a_state_may_have_numbers_as_keys(by_number: dict[int, str]) -> None:
    backwards = dict(reversed(by_number.items()))
    assert state_digest(Book(by_number=by_number)) == state_digest(Book(by_number=backwards))
    other = {**by_number, 10**20: "new"}
    assert state_digest(Book(by_number=by_number)) != state_digest(Book(by_number=other))


def test_integers_over_64_bits_are_told_apart() -> None:
    states = [{"n": n} for n in (10**30, 10**31, -(10**30), 2**64, 2**64 - 1, -(2**63) - 1)]
    assert len({state_digest(state) for state in states}) == len(states)


def test_a_state_digest_sees_every_field() -> None:
    states = [
        Book(),
        Book({"a": 1}),
        Book({"a": 2}),
        Book(seen=frozenset("a")),
        Book(seen=frozenset("ab")),
        Book(by_number={1: "a"}),
        Book(nested={"a": {1: frozenset({1})}}),
        Book(nested={"a": {1: frozenset({2})}}),
    ]
    assert len({state_digest(state) for state in states}) == len(states)


def test_a_state_digest_is_equal_in_a_process_with_another_hash_seed() -> None:
    program = (
        "from moonlet.core.digest import state_digest as d;"
        "print(d({'s': frozenset('abcdefgh'), 'n': {2: {'x', 'y', 'z'}, 1: None}}))"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(told) == 1
    assert told.pop().strip() == state_digest(
        {"n": {1: None, 2: {"z", "y", "x"}}, "s": frozenset("hgfedcba")}
    )


@given(st.binary(max_size=64), st.integers(0, 511))
def test_one_changed_bit_of_a_record_changes_its_digest(record: bytes, bit: int) -> None:
    if not record:
        return
    changed = bytearray(record)
    changed[bit // 8 % len(record)] ^= 1 << bit % 8
    assert record_digest(bytes(changed)) != record_digest(record)


def test_a_record_digest_is_blake2b_of_128_bits() -> None:
    # From `b2sum -l 128`.
    assert record_digest(b"") == "cae66941d9efbd404e4d88758ea67670"
    with pytest.raises(TypeError):
        record_digest("text")  # type: ignore[arg-type]
