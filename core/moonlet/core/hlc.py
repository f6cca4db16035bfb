"""The hybrid logical clock: wall time that never runs backwards and orders cause before effect.

After Kulkarni, Demirbas et al., "Logical Physical Clocks" (2014). The wall clock is an argument.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from moonlet.core.ports import Clock

MAX_AHEAD_US: Final = 1_000_000
"""A time further ahead of the wall clock than this (µs) is not followed: some clock was wrong."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Timestamp(msgspec.Struct, frozen=True, order=True, array_like=True, gc=False):
    """`micros` since 1970 (UTC) and a `counter` that orders what falls into one microsecond."""

    micros: int
    counter: int = 0

    @property
    def datetime(self) -> datetime:
        """The wall time, aware, UTC, to the microsecond."""
        return _EPOCH + timedelta(microseconds=self.micros)


class HybridClock:
    """One per process or per agent; `tick` gives strictly increasing times.

    `offset_us` is what has to be added to the monotonic clock to have the wall time by which we
    go, in µs; without one it is the wall clock's own.
    """

    __slots__ = ("_last", "offset_us")

    def __init__(self, last: Timestamp | None = None) -> None:
        self._last = last or Timestamp(0, 0)
        self.offset_us: int | None = None

    def tick(self, wall_us: int) -> Timestamp:
        """The time of a new happening: later than all ticked and observed before."""
        last = self._last
        if wall_us > last.micros:
            self._last = Timestamp(wall_us, 0)
        else:
            self._last = Timestamp(last.micros, last.counter + 1)
        return self._last

    def wall_us(self, clock: Clock) -> int:
        """The wall time by which we go, in µs since 1970."""
        if self.offset_us is None:
            return clock.now_us()
        return int(clock.monotonic() * 1_000_000) + self.offset_us

    def now(self, clock: Clock) -> tuple[int, Timestamp]:
        """The wall time in µs, and the time of what happens now.

        That is later than all before, unless those were far ahead: then a clock was mended.
        """
        offset, last = self.offset_us, self._last
        if offset is None:
            wall_us = clock.now_us()
        else:
            wall_us = int(clock.monotonic() * 1_000_000) + offset
        if wall_us > last.micros or wall_us < last.micros - MAX_AHEAD_US:
            time = self._last = Timestamp(wall_us, 0)
        else:
            time = self._last = Timestamp(last.micros, last.counter + 1)
        return wall_us, time

    def observe(self, other: Timestamp, wall_us: int) -> None:
        """Remember a time read from elsewhere, unless it is over `MAX_AHEAD_US` ahead."""
        if other > self._last and other.micros <= wall_us + MAX_AHEAD_US:
            self._last = other


def to_micros(moment: datetime) -> int:
    """Microseconds since 1970 of an aware datetime."""
    return (moment - _EPOCH) // timedelta(microseconds=1)
