"""How a caller's timeout is kept, whatever a call waits for."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
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


async def each_in_time(
    items: AsyncGenerator[T, None], seconds: float, late: Callable[[], MoonletError]
) -> AsyncGenerator[T, None]:
    """The items, each at most `seconds` after it was asked for; else `late()` is raised."""
    time = asyncio.get_running_loop().time
    async with aclosing(items):
        while True:
            try:
                item = await in_time(anext(items), time() + seconds, late)
            except StopAsyncIteration:
                return
            yield item
