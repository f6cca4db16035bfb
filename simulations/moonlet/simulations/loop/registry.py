"""The tasks of a loop, numbered and listed in creation order.

asyncio has them in a `WeakSet` of the whole process, whose order depends on what ran before.
"""

from __future__ import annotations

import weakref
from typing import Any

from moonlet.simulations.loop.node import Life
from moonlet.simulations.loop.tasks import SimTask


class TaskRegistry:
    """Knows every task as long as somebody else holds it."""

    def __init__(self) -> None:
        self._last = 0
        self._tasks: weakref.WeakValueDictionary[int, SimTask[Any]] = weakref.WeakValueDictionary()

    def next_number(self) -> int:
        """1, 2, 3 …"""
        self._last += 1
        return self._last

    def add(self, task: SimTask[Any]) -> None:
        """Know a task that is just being made."""
        self._tasks[task.number] = task

    def remove(self, task: SimTask[Any]) -> None:
        """Forget a task that could not be made."""
        self._tasks.pop(task.number, None)

    def find(self, number: int) -> SimTask[Any] | None:
        """The task of that number, if it still exists."""
        return self._tasks.get(number)

    def known(self) -> list[SimTask[Any]]:
        """All tasks that still exist."""
        return [task for _, task in sorted(self._tasks.items())]

    def unfinished(self) -> list[SimTask[Any]]:
        """All unfinished tasks, also those of dead lives."""
        return [task for task in self.known() if not task.done()]

    def of(self, life: Life | None) -> list[SimTask[Any]]:
        """The unfinished tasks of that life, or of the driver."""
        return [task for task in self.unfinished() if task.life is life]
