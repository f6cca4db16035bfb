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
from typing import Any, Protocol, TypeVar

from moonlet.simulations.loop.node import LIFE, Life
from moonlet.simulations.trace import Trace

T = TypeVar("T")

AsyncioFuture = asyncio.Future
AsyncioTask = asyncio.Task


class Numbers(Protocol):
    """Numbers for the tasks of a loop, and who has which."""

    def next_number(self) -> int:
        """1, 2, 3 …"""
        ...

    def add(self, task: SimTask[Any]) -> None:
        """Know a task that is just being made."""
        ...

    def remove(self, task: SimTask[Any]) -> None:
        """Forget a task that could not be made."""
        ...


class NumberingLoop(Protocol):
    """What gives tasks and futures their identity: the loop that they are made on."""

    trace: Trace

    @property
    def tasks(self) -> Numbers:
        """Its tasks."""
        ...

    def next_future(self) -> int:
        """The number of the next future that is hashed."""
        ...


def number_of(future: asyncio.Future[Any]) -> int:
    """The future's number, given now if it has none: most are never hashed."""
    try:
        number: int = future._number  # type: ignore[attr-defined]
    except AttributeError:
        loop: NumberingLoop = future.get_loop()  # type: ignore[assignment]
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
        loop: asyncio.AbstractEventLoop | None = None,
        name: str | None = None,
        context: contextvars.Context | None = None,
        **eager: bool,
    ) -> None:
        if loop is None:
            loop = asyncio.get_running_loop()
        numbering: NumberingLoop = loop  # type: ignore[assignment]
        if context is None:
            context = contextvars.copy_context()
        self.life = context.get(LIFE)
        self.number = numbering.tasks.next_number()
        if name is None:
            name = f"{getattr(coro, '__qualname__', type(coro).__name__)}#{self.number}"
        numbering.tasks.add(self)
        numbering.trace.name(self.number, name)
        try:
            super().__init__(coro, loop=loop, name=name, context=context, **eager)
        except BaseException:
            numbering.tasks.remove(self)
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
        loop: asyncio.AbstractEventLoop,
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
        loop: asyncio.AbstractEventLoop,
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
