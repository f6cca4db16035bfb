"""Answers that all who look at the same share: fifty browsers cost what one does."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from typing import Any, Final

FRESH: Final = 1.0
"""Seconds that an answer serves."""

KEPT_MAX: Final = 64
"""Answers that are kept; the one made first goes first."""

Made = asyncio.Task[Any]


class SharedAnswers:
    """Makes an answer once for all who ask for it within a second, and while it is being made."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[float, Made]] = OrderedDict()

    async def get(self, key: str, make: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        """The answer; raises what making it raised. Whoever leaves doesn't end it for others."""
        found = self._kept.get(key)
        now = time.monotonic()
        if found is None or (found[1].done() and (now - found[0] > FRESH or _failed(found[1]))):
            found = now, asyncio.create_task(make(), name="web: a shared answer")
            found[1].add_done_callback(_seen)
            self._kept.pop(key, None)
            self._kept[key] = found
            while len(self._kept) > KEPT_MAX:
                self._kept.popitem(last=False)
        return await asyncio.shield(found[1])


def _failed(task: Made) -> bool:
    """What failed is tried again at once."""
    return task.cancelled() or task.exception() is not None


def _seen(task: Made) -> None:
    """Nobody need wait for it any more: its error is not told as one that was never looked at."""
    if not task.cancelled():
        task.exception()
