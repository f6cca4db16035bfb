"""Sender windows against the plain set of all numbers that were ever committed."""

import random
import sys
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moonlet.core.memory import WINDOW, Windows, sent_by_agent
from moonlet.core.memory.windows import SENDERS

CLIENT = "c0ffee"
AGENT = "aegis/main"


def in_flight_order(rng: random.Random, count: int, flight: int) -> list[int]:
    """The numbers 1 … `count` in an order in which none overtakes the last `flight` unsettled."""
    waiting: list[int] = []
    order: list[int] = []
    fresh = 1
    while len(order) < count:
        lowest = min(waiting, default=fresh)
        while fresh <= count and fresh < lowest + flight and (not waiting or rng.random() < 0.7):
            waiting.append(fresh)
            fresh += 1
        order.append(waiting.pop(rng.randrange(len(waiting))))
    return order


@settings(max_examples=30)
@given(st.randoms(use_true_random=False), st.sampled_from([1, 2, 64, WINDOW]))
def test_a_client_with_1024_in_flight_in_any_order_is_told_apart_exactly(
    rng: random.Random, flight: int
) -> None:
    windows, committed, highest = Windows(), set[int](), 0
    for number in in_flight_order(rng, 300 if flight < WINDOW else 2_500, flight):
        assert not windows.has(CLIENT, "medium", number)
        windows.add(CLIENT, "medium", number)
        committed.add(number)
        highest = max(highest, number)
        for asked in (number, rng.randrange(1, number + 1), number + rng.randrange(WINDOW)):
            if asked > highest - WINDOW:
                assert windows.has(CLIENT, "medium", asked) == (asked in committed)
            else:
                assert windows.has(CLIENT, "medium", asked), "too old to be still in flight"


@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "b"]), st.sampled_from(["low", "high"]), st.integers(1, 40))
    )
)
def test_duplicates_are_known_per_sender_and_lane(heard: list[tuple[str, str, int]]) -> None:
    windows, committed = Windows(), set[tuple[str, str, int]]()
    for one in heard:
        assert windows.has(*one) == (one in committed)
        windows.add(*one)
        committed.add(one)
    assert len(windows) == len({(sender, lane) for sender, lane, _ in committed})


@given(st.sets(st.integers(1, 10**9), min_size=1))
def test_an_agents_highest_number_is_exact_for_ever(numbers: set[int]) -> None:
    windows = Windows()
    for number in sorted(numbers):
        assert not windows.has(AGENT, "medium", number)
        windows.add(AGENT, "medium", number)
    for number in numbers:
        assert windows.has(AGENT, "medium", number)
    assert not windows.has(AGENT, "medium", max(numbers) + 1)


def test_an_agents_highest_number_never_goes_back() -> None:
    windows = Windows()
    for number in (5, 3):
        windows.add(AGENT, "medium", number)
    assert windows.has(AGENT, "medium", 4) and windows.has(AGENT, "medium", 5)


def test_an_agents_numbers_may_jump_over_what_went_elsewhere() -> None:
    windows = Windows()
    windows.add(AGENT, "medium", 5 * WINDOW)
    assert windows.has(AGENT, "medium", 1), "each is only sent once the one before has landed"
    assert not windows.has(AGENT, "medium", 5 * WINDOW + 1)
    assert not windows.has(AGENT, "high", 1)
    assert sent_by_agent(AGENT) and not sent_by_agent(CLIENT)


def test_a_client_that_resumes_far_ahead_keeps_what_is_in_flight_behind() -> None:
    windows = Windows()
    windows.add(CLIENT, "medium", 1)
    windows.add(CLIENT, "medium", 1 + WINDOW)
    assert windows.has(CLIENT, "medium", 1)
    assert not windows.has(CLIENT, "medium", 2)
    windows.add(CLIENT, "medium", 2 + 2 * WINDOW)
    assert windows.has(CLIENT, "medium", 2 + WINDOW)
    assert not windows.has(CLIENT, "medium", 3 + WINDOW)


def test_the_4096_senders_heard_most_recently_are_remembered() -> None:
    windows = Windows()
    for n in range(SENDERS):
        windows.add(f"s{n}", "medium", 1)
    windows.add("s0", "medium", 2)  # heard again: s1 is now the one heard longest ago
    for n in range(SENDERS, SENDERS + 10):
        windows.add(f"s{n}", "medium", 1)
    assert len(windows) == SENDERS
    assert windows.has("s0", "medium", 1) and windows.has("s0", "medium", 2)
    forgotten = [n for n in range(SENDERS + 10) if not windows.has(f"s{n}", "medium", 1)]
    assert forgotten == list(range(1, 11))


@pytest.mark.parametrize("sender", [CLIENT, AGENT])
@pytest.mark.parametrize("number", [2**63 - 1, 10**30, 0, -1, -(2**63), -(10**30)])
def test_a_hostile_number_takes_no_memory(sender: str, number: int) -> None:
    windows = Windows()
    for start in (number, 7, number, number + 1, number - WINDOW):
        windows.add(sender, "medium", start)
        windows.has(sender, "medium", number)
    ((_, highest, bits),) = windows.dump()
    assert sys.getsizeof(highest) + len(bits) < 400


def test_what_is_forgotten_does_not_grow_the_bitmap() -> None:
    windows = Windows()
    for number in range(1, 20 * WINDOW):
        windows.add(CLIENT, "medium", number)
    ((_, _, bits),) = windows.dump()
    assert bits == "f" * (WINDOW // 4)


HEARD = st.lists(
    st.tuples(
        st.sampled_from([CLIENT, AGENT, "x"]),
        st.sampled_from(["low", "high"]),
        st.integers(1, 5000),
    ),
    max_size=60,
)


@given(HEARD, HEARD)
def test_windows_loaded_from_a_snapshot_go_on_as_the_ones_dumped(
    before: list[tuple[str, str, int]], after: list[tuple[str, str, int]]
) -> None:
    live = Windows()
    for one in before:
        live.add(*one)
    stored: Any = msgspec.msgpack.decode(msgspec.msgpack.encode(live.dump()))
    loaded = Windows.load(stored)
    assert loaded.dump() == live.dump()
    for one in after:
        assert loaded.has(*one) == live.has(*one)
        live.add(*one)
        loaded.add(*one)
    assert loaded.dump() == live.dump(), "also the order of last hearing"
