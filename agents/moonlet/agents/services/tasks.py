"""Background tasks that can't die unseen, and that end with their owner."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from moonlet.telemetry import get_logger

log = get_logger(__name__)


class Tasks:
    """The running tasks of one owner. `on_death` is told of an exception that a task ended with."""

    def __init__(self, on_death: Callable[[BaseException], None]) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._on_death = on_death

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> "asyncio.Task[None]":
        """Run `work` until it ends or `close`."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is not None:
            log.error("a background task died", task=task.get_name(), exc_info=error)
            self._on_death(error)

    async def ended(self) -> None:
        """Wait until none runs."""
        while self._tasks:
            await asyncio.wait(set(self._tasks))

    async def close(self) -> None:
        """Cancel all and wait for their end."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
