"""The hybrid logical clock: never back, cause before effect, no hostile future."""

from datetime import UTC, datetime, timedelta, timezone

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonlet.core.hlc import MAX_AHEAD_US, HybridClock, Timestamp, to_micros

WALL = st.integers(0, 10**16)


@given(st.lists(WALL, min_size=2, max_size=50))
def test_ticks_strictly_increase_however_the_wall_clock_jumps(walls: list[int]) -> None:
    clock = HybridClock()
    ticks = [clock.tick(wall) for wall in walls]
    assert ticks == sorted(set(ticks))
    assert all(tick.micros >= wall for tick, wall in zip(ticks, walls, strict=True))


@given(WALL, st.lists(st.booleans(), max_size=20), st.integers(0, MAX_AHEAD_US))
def test_an_effect_is_later_than_its_cause_on_a_clock_that_is_behind(
    wall: int, ticks: list[bool], behind: int
) -> None:
    ahead, late = HybridClock(), HybridClock()
    for one in ticks:
        (ahead if one else late).tick(wall)
    cause = ahead.tick(wall)
    late.observe(cause, wall - behind)
    assert late.tick(wall - behind) > cause


def test_a_clock_that_goes_back_counts_on_until_the_wall_has_caught_up() -> None:
    clock = HybridClock()
    assert clock.tick(1_000) == Timestamp(1_000, 0)
    assert [clock.tick(400), clock.tick(1_000)] == [Timestamp(1_000, 1), Timestamp(1_000, 2)]
    assert clock.tick(1_001) == Timestamp(1_001, 0)


def test_a_hostile_future_is_not_followed() -> None:
    clock = HybridClock()
    clock.observe(Timestamp(MAX_AHEAD_US + 2), 1)
    clock.observe(Timestamp(10**18, 10**9), 1)
    assert clock.tick(1) == Timestamp(1, 0)
    clock.observe(Timestamp(MAX_AHEAD_US + 1), 1)
    assert clock.tick(1) == Timestamp(MAX_AHEAD_US + 1, 1)


@given(WALL, WALL)
def test_observing_never_goes_back(seen: int, wall: int) -> None:
    clock = HybridClock(Timestamp(seen, 3))
    clock.observe(Timestamp(seen, 2), wall)
    clock.observe(Timestamp(seen - 1, 99), wall)
    assert clock.tick(0) == Timestamp(seen, 4)


def test_a_clock_goes_on_from_the_last_time_it_is_given() -> None:
    assert HybridClock(Timestamp(5_000, 7)).tick(10) == Timestamp(5_000, 8)


@pytest.mark.parametrize("module", [msgspec.json, msgspec.msgpack])
def test_a_timestamp_is_stored_as_two_numbers(module: object) -> None:
    codec = msgspec.json if module is msgspec.json else msgspec.msgpack
    stamp = Timestamp(1_678_500_000_000_001, 4)
    assert codec.decode(codec.encode(stamp)) == [1_678_500_000_000_001, 4]
    assert codec.decode(codec.encode(stamp), type=Timestamp) == stamp


def test_a_timestamp_is_an_aware_utc_moment() -> None:
    moment = datetime(2023, 3, 11, 2, 0, 0, 123_456, tzinfo=UTC)
    assert Timestamp(to_micros(moment), 9).datetime == moment
    assert Timestamp(0).datetime.tzinfo is UTC


@given(st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=45))])))
def test_microseconds_and_moments_are_exact_both_ways(moment: datetime) -> None:
    assert Timestamp(to_micros(moment)).datetime == moment
