"""The hybrid logical clock: wall time that never runs backwards and orders cause before effect.

After Kulkarni, Demirbas et al., "Logical Physical Clocks" (2014). The wall clock is an argument.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from moonlet.core.ports import Clock

MAX_AHEAD_US: Final = 300_000_000
"""A remote time further ahead of our wall clock than this (µs) is not followed."""

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
    """One per process or per agent; `tick` gives strictly increasing times."""

    __slots__ = ("_last",)

    def __init__(self, last: Timestamp | None = None) -> None:
        self._last = last or Timestamp(0, 0)

    def tick(self, wall_us: int) -> Timestamp:
        """The time of a new happening: later than all ticked and observed before."""
        last = self._last
        if wall_us > last.micros:
            self._last = Timestamp(wall_us, 0)
        else:
            self._last = Timestamp(last.micros, last.counter + 1)
        return self._last

    def now(self, clock: Clock) -> tuple[int, Timestamp]:
        """The wall clock in µs, and the time of what happens now."""
        wall_us, last = clock.now_us(), self._last
        if wall_us > last.micros:
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
