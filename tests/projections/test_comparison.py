"""Two replicas at one frontier that differ: which keys, in how many messages and bytes."""

import random

import msgspec
import pytest

from moonlet.projections import DeltaRefused, ViewState
from moonlet.projections.exchange.comparison import KeyDifference, StateComparison
from tests.projections.helpers import Raised, Rated, commit, journals, new_state
from tests.projections.test_delta import giver
from tests.projections.world import World


def compared(one: StateComparison, two: StateComparison) -> list[int]:
    """Run it to the end; the bytes of each message."""
    sizes = []
    message, sides = one.begin(), [two, one]
    while message:
        sizes.append(len(message))
        message = sides[0].answer(message)
        sides.reverse()
    return sizes


def filled(count: int, changed: set[int]) -> ViewState:
    """Alerts, some of them of another dot: as if two minds had folded the same commits."""
    state = ViewState(new_state().view, journals())
    state.advance("eu", count)
    store = state.stores["alerts"]
    for number in range(count):
        dot = (number + 1) << 20 | 1
        store.rows[f"alert {number}"] = dot | 1 << 8 if number in changed else dot  # type: ignore[attr-defined]
    return state


def test_ten_differences_among_100k_keys_take_six_messages_and_16_kib() -> None:
    changed = set(random.Random(1).sample(range(100_000), 10))
    one, two = StateComparison(filled(100_000, set())), StateComparison(filled(100_000, changed))
    sizes = compared(one, two)
    expected = {KeyDifference("alerts", f"alert {number}") for number in changed}
    assert one.found == two.found == expected
    assert len(sizes) <= 6
    assert sum(sizes) <= 16_384


@pytest.mark.parametrize("seed", range(20))
def test_every_difference_is_found_on_both_sides_and_no_other(seed: int) -> None:
    chance = random.Random(seed)
    total = chance.choice([1, 5, 40, 3_000])
    changed = set(chance.sample(range(total), min(total, chance.choice([0, 1, 3, 200]))))
    one, two = (
        StateComparison(filled(total, set())),
        StateComparison(filled(total + chance.choice([0, 2]), changed)),
    )
    extra = len(two._names) - total
    compared(one, two)
    expected = {
        KeyDifference("alerts", f"alert {number}")
        for number in {*changed, *range(total, total + extra)}
    }
    assert one.found == two.found == expected


def test_equal_replicas_need_one_message() -> None:
    world = World().run(list(range(30)))
    world.drain()
    one, two, _ = world.replicas
    assert len(compared(StateComparison(one), StateComparison(two))) == 1


def test_fold_code_of_two_minds_is_found_by_key() -> None:
    one, two = giver(), giver()
    one.fold(commit(5, Rated("high"), Raised("b")), "eu")
    two.fold(commit(5, Rated("low"), Raised("b")), "eu")
    assert one.vector == two.vector
    sides = StateComparison(one), StateComparison(two)
    compared(*sides)
    assert sides[0].found == sides[1].found == {KeyDifference("risk", "")}


@pytest.mark.parametrize(
    "message",
    [
        b"\xc1",
        msgspec.msgpack.encode([[99, 0, b"", None]]),
        msgspec.msgpack.encode([[-1, 0, b"", None]]),
        msgspec.msgpack.encode([[0, 0, b"123", None]]),
    ],
)
def test_what_is_no_audit_message_is_refused(message: bytes) -> None:
    with pytest.raises(DeltaRefused):
        StateComparison(giver()).answer(message)
