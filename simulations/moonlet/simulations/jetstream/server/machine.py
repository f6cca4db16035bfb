"""What a server runs on: a clock, and steps that belong to no node of the world."""

import asyncio
import contextvars
from collections.abc import Callable
from typing import Final

from moonlet.simulations.loop import SimLoop

_SECOND: Final = 1_000_000_000


class Machine:
    """The loop as the server sees it: the world's own in a run, any other by its `time()`."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._world = loop if isinstance(loop, SimLoop) else None
        self.context = contextvars.Context() if self._world is None else self._world.outside

    def now_ns(self) -> int:
        """Nanoseconds of a clock that begins anywhere."""
        return round(self._loop.time() * _SECOND) if self._world is None else self._world.now_ns

    def soon(self, callback: Callable[[], object], context: contextvars.Context) -> None:
        """Call back in the next step, in `context`."""
        self._loop.call_soon(callback, context=context)

    def at(self, now_ns: int, callback: Callable[[], object]) -> asyncio.TimerHandle:
        """Call back when `now_ns()` says so, or at once if it is past, outside all nodes."""
        if self._world is not None:
            return self._world.call_at_ns(now_ns, callback, context=self.context)
        return self._loop.call_at(now_ns / _SECOND, callback, context=self.context)
