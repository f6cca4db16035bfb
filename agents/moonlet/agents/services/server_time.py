"""The server's time, as a host knows it: its own wall clock may be hours off, and jump.

Each write of its lease is stamped by the server between the asking and the answer, so the server's
time less the host's monotonic clock lies within bounds. Commits, timers and deadlines go by that.
"""

from typing import Final

from moonlet.core.hlc import HybridClock
from moonlet.core.ports import Clock

TELL: Final = 1.0
"""Seconds that a host's clock may be off without a word."""

REFUSE: Final = 10.0
"""Seconds from which a host takes no partitions that another can have."""


class ServerTime:
    """What is known of the server's clock; `hlc` is kept to it."""

    def __init__(self, clock: Clock, hlc: HybridClock) -> None:
        self._clock = clock
        self._hlc = hlc
        self._error_us = 0

    def measure(self, asked: float, answered: float, stamped_ns: int) -> None:
        """The server stamped something with its time between these moments of our clock (s).

        What is known moves no further than these bounds ask for.
        """
        stamped = stamped_ns // 1_000
        low, high = stamped - _micros(answered), stamped - _micros(asked)
        known = self._hlc.offset_us
        self._hlc.offset_us = (low + high) // 2 if known is None else min(max(known, low), high)
        self._error_us = (high - low) // 2

    @property
    def known(self) -> bool:
        """Whether it was measured; until then the wall clock is all there is."""
        return self._hlc.offset_us is not None

    @property
    def off(self) -> float:
        """Seconds that our wall clock is ahead of the server's; 0 while that isn't known.

        By as much less as the measurement may be wrong: a slow answer is no wrong clock.
        """
        if self._hlc.offset_us is None:
            return 0.0
        off = self._clock.now_us() - self._hlc.wall_us(self._clock)
        sure = max(0, abs(off) - self._error_us)
        return (sure if off > 0 else -sure) / 1_000_000


def _micros(seconds: float) -> int:
    return int(seconds * 1_000_000)
