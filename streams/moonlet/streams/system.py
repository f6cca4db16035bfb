"""The real clock and the real dice. Everything else gets time and chance by argument."""

import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial


def _monotonic() -> Callable[[], float]:
    """The clock of the system that goes on while it sleeps, as far as it has one."""
    with suppress(AttributeError, OSError):
        return partial(time.clock_gettime, time.CLOCK_BOOTTIME)
    return time.monotonic


_awake_or_not = _monotonic()


class SystemClock:
    """Wall time and monotonic time of this machine."""

    def now_us(self) -> int:
        """Microseconds since 1970, UTC."""
        return time.time_ns() // 1_000

    def monotonic(self) -> float:
        """Seconds from an unnamed start; those in which the machine slept count too."""
        return _awake_or_not()


class SystemEntropy:
    """The operating system's generator."""

    def token(self) -> str:
        """22 characters, 128 bits."""
        return secrets.token_urlsafe(16)

    def uniform(self) -> float:
        """A number in [0, 1)."""
        return secrets.randbits(53) / 9_007_199_254_740_992
