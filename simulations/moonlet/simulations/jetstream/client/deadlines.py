"""Deadlines of answers: one timer for all of them, since nearly all are met."""

import asyncio
import math
from collections.abc import Callable
from typing import Final

TICK: Final = 0.05  # s that a deadline may be late, as those of the adapter over nats-py are


class Deadlines:
    """Calls `expire` with each key when its time is up, met or not, and then forgets it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, expire: Callable[[str], None]) -> None:
        self._loop = loop
        self._expire = expire
        self._ticks: dict[int, list[str]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._timer_tick = 0

    def add(self, key: str, timeout: float) -> None:
        """Call back with `key` in `timeout` seconds."""
        tick = math.ceil((self._loop.time() + timeout) / TICK)
        keys = self._ticks.get(tick)
        if keys is not None:
            keys.append(key)
            return
        self._ticks[tick] = [key]
        if self._timer is None or tick < self._timer_tick:
            self._set_timer(tick)

    def clear(self) -> None:
        """Forget all."""
        self._ticks.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set_timer(self, tick: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_tick = tick
        self._timer = self._loop.call_at(tick * TICK, self._ring)

    def _ring(self) -> None:
        self._timer = None
        for key in self._ticks.pop(self._timer_tick):
            self._expire(key)
        if self._ticks and self._timer is None:
            self._set_timer(min(self._ticks))
