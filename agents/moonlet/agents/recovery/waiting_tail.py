"""A tail that waits to be read: by itself, or with many others in one pass over their journal."""

import asyncio
from collections.abc import Callable
from typing import Final

from moonlet.agents.recovery.tail import Tail
from moonlet.core.errors import MoonletError

AGED: Final = 5.0
"""Seconds of waiting after which a tail is as urgent as the most urgent ones."""


class WaitingTail:
    """Told once what comes of it: `True`, its turn to be read by itself, or that it was read.

    `number` grows with each that comes, `since` is when it came, in monotonic seconds.
    """

    __slots__ = ("_urgency", "number", "since", "tail", "told")

    def __init__(self, tail: Tail, urgency: Callable[[], int], number: int, since: float) -> None:
        self.tail = tail
        self._urgency = urgency
        self.number = number
        self.since = since
        self.told: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    @property
    def urgent(self) -> bool:
        """Whether something critical waits for it: more may have come since it waits."""
        return self._urgency() == 0

    def rank(self, now: float) -> tuple[int, int]:
        """The least is read first: by lane, then by age; what has waited for long by age alone."""
        return 0 if now - self.since >= AGED else self._urgency(), self.number

    def tell(self, turn: bool) -> None:
        """Its turn has come, or it was read as far as it could be; nothing if nobody waits."""
        if not self.told.done():
            self.told.set_result(turn)

    def fail(self, error: MoonletError) -> None:
        """It can't be read."""
        if not self.told.done():
            self.told.set_exception(error)
