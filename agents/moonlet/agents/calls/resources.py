"""What calls need beside the call, an HTTP client or a database: opened once, closed at the end."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final, Protocol

from moonlet.agents.definition import Resource
from moonlet.telemetry import get_logger

log = get_logger(__name__)


class InThread(Protocol):
    """Runs a function that may block and raises nothing, in a thread of its own, of `owner`."""

    def __call__(self, work: Callable[[], None], owner: object = None) -> None:
        """Begin `work`."""
        ...


CLOSE_MAX: Final = 2.0
"""Seconds that resources have to close."""


class Resources:
    """The resources of one event loop. Each is entered and left by one task.

    One that can't be opened fails the attempt that wanted it; the next tries again.
    """

    def __init__(self, in_thread: InThread) -> None:
        self._in_thread = in_thread
        self._ready: dict[Resource, asyncio.Future[Any]] = {}
        self._holders: set[asyncio.Task[None]] = set()
        self._closing = asyncio.Event()

    async def get(self, resource: Resource) -> Any:
        """What it opens; raises what it raises."""
        ready = self._ready.get(resource)
        if ready is None or (ready.done() and ready.exception() is not None):
            loop = asyncio.get_running_loop()
            ready = self._ready[resource] = loop.create_future()
            holder = loop.create_task(self._hold(resource, ready), name="a resource of calls")
            self._holders.add(holder)
            holder.add_done_callback(self._holders.discard)
        return await asyncio.shield(ready)

    async def _hold(self, resource: Resource, ready: "asyncio.Future[Any]") -> None:
        try:
            async with self._opened(resource) as value:
                ready.set_result(value)
                await self._closing.wait()
        except GeneratorExit:
            raise
        except BaseException as error:
            if ready.done():
                log.warning("a resource of calls was not closed", error=repr(error))
            else:
                known = isinstance(error, Exception) and not isinstance(error, StopIteration)
                ready.set_exception(error if known else RuntimeError(repr(error)))
                ready.exception()  # whoever waits has it; nobody else is to be warned

    @asynccontextmanager
    async def _opened(self, resource: Resource) -> AsyncIterator[Any]:
        manager: Any = resource()
        if isinstance(manager, AbstractAsyncContextManager):
            async with manager as value:
                yield value
            return
        value = await aside(self._in_thread, manager.__enter__)
        try:
            yield value
        finally:
            await aside(self._in_thread, lambda: manager.__exit__(None, None, None))

    async def close(self) -> None:
        """Close all, within `CLOSE_MAX`; what takes longer is cancelled."""
        self._closing.set()
        holders = list(self._holders)
        if holders:
            _, late = await asyncio.wait(holders, timeout=CLOSE_MAX)
            for holder in late:
                holder.cancel()


async def aside(in_thread: InThread, work: Callable[[], Any], owner: object = None) -> Any:
    """What `work` returns or raises, in a thread; a `BaseException` as it is.

    Cancelled, the thread goes on, and nobody hears of it.
    """
    loop = asyncio.get_running_loop()
    landed: asyncio.Future[tuple[Any, BaseException | None]] = loop.create_future()

    def land(result: Any, error: BaseException | None) -> None:
        if not landed.done():
            landed.set_result((result, error))

    def run() -> None:
        result: Any = None
        failed: BaseException | None = None
        try:
            result = work()
        except BaseException as error:
            failed = error
        post(loop, lambda: land(result, failed))

    in_thread(run, owner)
    result, error = await landed
    if error is not None:
        raise error
    return result


def post(loop: asyncio.AbstractEventLoop, callback: Callable[[], object]) -> None:
    """Call back on another thread's loop; nothing if that has ended."""
    try:
        loop.call_soon_threadsafe(callback)
    except RuntimeError:
        log.debug("a loop had ended")
