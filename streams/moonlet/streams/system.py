"""The real clock and the real dice. Everything else gets time and chance by argument."""

import secrets
import time
from typing import Final

_SLEEPS_COUNT: Final = getattr(time, "CLOCK_BOOTTIME", None)
"""The clock of the system that goes on while it sleeps, where there is one."""


class SystemClock:
    """Wall time and monotonic time of this machine."""

    def now_us(self) -> int:
        """Microseconds since 1970, UTC."""
        return time.time_ns() // 1_000

    def monotonic(self) -> float:
        """Seconds from an unnamed start; those in which the machine slept count too."""
        if _SLEEPS_COUNT is not None:
            return time.clock_gettime(_SLEEPS_COUNT)
        return time.monotonic()


class SystemEntropy:
    """The operating system's generator."""

    def token(self) -> str:
        """22 characters, 128 bits."""
        return secrets.token_urlsafe(16)

    def uniform(self) -> float:
        """A number in [0, 1)."""
        return secrets.randbits(53) / 9_007_199_254_740_992
