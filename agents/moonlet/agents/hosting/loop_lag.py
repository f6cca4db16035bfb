"""How late a loop comes to what is due, looked at twice a second."""

import asyncio
from typing import Final

from moonlet.telemetry.metrics import Histogram

LAG_EVERY: Final = 0.5
"""Seconds between two looks."""


class LoopLag:
    """Counts into `times` while it is open, in the loop in which it was opened."""

    def __init__(self, times: Histogram) -> None:
        self._times = times
        self._timer: asyncio.TimerHandle | None = None

    def open(self) -> None:
        """Look from now on."""
        self._look(None)

    def close(self) -> None:
        """Look no more; twice is harmless."""
        if self._timer is not None:
            self._timer.cancel()

    def _look(self, due: float | None) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        if due is not None:
            self._times.observe(now - due)
        self._timer = loop.call_at(now + LAG_EVERY, self._look, now + LAG_EVERY)
