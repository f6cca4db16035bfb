"""Waiting in a world for something to become true, with a bound."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Final

from moonlet.simulations.durations import Duration, nanoseconds
from moonlet.simulations.loop import SimLoop
from moonlet.simulations.violations import NotReached

POLL: Final = 0.05
"""Seconds between two looks at a condition."""


async def until(
    loop: SimLoop, condition: Callable[[], object], timeout: Duration = "60s", what: str = ""
) -> None:
    """Wait until `condition()` (it may be async) is true; raises `NotReached`."""
    end = loop.now_ns + nanoseconds(timeout)
    while not await is_true(condition):
        if loop.now_ns >= end:
            raise NotReached(what or getattr(condition, "__name__", "the condition"), timeout)
        await asyncio.sleep(POLL)


async def is_true(condition: Callable[[], object]) -> bool:
    """What `condition()` says, awaited if need be."""
    found = condition()
    if inspect.isawaitable(found):
        waiting: Awaitable[object] = found
        found = await waiting
    return bool(found)
