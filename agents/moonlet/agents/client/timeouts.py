"""How a caller's timeout is kept, whatever a call waits for."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from moonlet.core.errors import MoonletError

T = TypeVar("T")


async def in_time(work: Awaitable[T], until: float, late: Callable[[], MoonletError]) -> T:
    """What `work` gives by the loop's time `until`; then it is cancelled, and `late()` raised.

    Whatever it waits for, and however long each of its steps may take: a caller's timeout is kept
    here, and not by every step on its own.
    """
    try:
        async with asyncio.timeout_at(until):
            return await work
    except TimeoutError:
        raise late() from None
