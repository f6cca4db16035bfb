"""Tasks, futures and handles of the loop: asyncio's own, with an identity that a seed decides.

Sets of tasks order `asyncio.wait`, `as_completed`, an aborting `TaskGroup` and `all_tasks`. Here
a task hashes by its creation number, and a future by the order in which futures are first
hashed, so all of them go by the run and not by memory addresses.
"""

from __future__ import annotations

import asyncio
import contextvars
from asyncio import events
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from moonlet.simulations.loop.node import LIFE, Life

if TYPE_CHECKING:
    from moonlet.simulations.loop.sim_loop import SimLoop

T = TypeVar("T")

AsyncioFuture = asyncio.Future
AsyncioTask = asyncio.Task


def number_of(future: asyncio.Future[Any]) -> int:
    """The future's number, given now if it has none: most are never hashed."""
    try:
        number: int = future._number  # type: ignore[attr-defined]
    except AttributeError:
        loop: SimLoop = future.get_loop()  # type: ignore[assignment]
        number = future._number = loop.next_future()  # type: ignore[attr-defined]
    return number


class SimFuture(asyncio.Future[T]):
    """A future that hashes by the order in which futures of its loop are first hashed."""

    def __hash__(self) -> int:
        return number_of(self)


class SimTask(asyncio.Task[T]):
    """A task that hashes by its `number` (1, 2, 3 … per loop) and belongs to a node's `life`.

    Unnamed tasks are called `qualname#number`.
    """

    __slots__ = ("life", "number")

    life: Life | None
    number: int

    def __init__(
        self,
        coro: Coroutine[Any, Any, T],
        *,
        loop: SimLoop | None = None,
        name: str | None = None,
        context: contextvars.Context | None = None,
        **eager: bool,
    ) -> None:
        if loop is None:
            loop = asyncio.get_running_loop()  # type: ignore[assignment]
            assert loop is not None
        if context is None:
            context = contextvars.copy_context()
        self.life = context.get(LIFE)
        self.number = loop.census.next_number()
        if name is None:
            name = f"{getattr(coro, '__qualname__', type(coro).__name__)}#{self.number}"
        loop.census.add(self)
        loop.trace.name(self.number, name)
        try:
            super().__init__(coro, loop=loop, name=name, context=context, **eager)
        except BaseException:
            loop.census.remove(self)
            raise

    def __hash__(self) -> int:
        return self.number


class SimHandle(events.Handle):
    """A callback that is due; asyncio's own without its price for debug mode."""

    __slots__ = ()

    def __init__(
        self,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        loop: SimLoop,
        context: contextvars.Context | None,
    ) -> None:
        self._context = contextvars.copy_context() if context is None else context
        self._loop = loop
        self._callback = callback
        self._args = args
        self._cancelled = False
        self._repr = None
        self._source_traceback = None


class SimTimer(events.TimerHandle):
    """A callback at a time; `when()` is in seconds of the clock of the node that set it."""

    __slots__ = ()

    def __init__(
        self,
        when: float,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        loop: SimLoop,
        context: contextvars.Context | None,
    ) -> None:
        self._context = contextvars.copy_context() if context is None else context
        self._loop = loop
        self._callback = callback
        self._args = args
        self._cancelled = False
        self._repr = None
        self._source_traceback = None
        self._when = when
        self._scheduled = True
