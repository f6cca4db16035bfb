"""How fast a server stores, as its answers tell, and what is best written to it.

Whether it waits for the disk it tells only users of its system account. But an append that nothing
else was in flight with is answered in 0.05 to 0.2 ms without fsync, in 0.28 with the fastest disk
measured, beside which a network's time makes it look slower, never faster.
"""

from typing import Final

FAST: Final = 0.000_25
"""Seconds below which no disk was waited for."""

BATCH_FROM: Final = 12
"""Waiting commits from which one atomic batch is faster than single publishes, with fsync."""

BATCH_FROM_FAST: Final = 200
"""The same without: there the server pays more for the batch, a file of its own, than it saves."""

LOOK_EVERY: Final = 8
"""Single appends of which one is measured, behind the first so many: the clock is not for free."""

FORGET: Final = 1.02
"""What the fastest answer grows by with each later one, so that another disk is noticed."""


class Storage:
    """Takes note of single appends; until one was fast, it is taken for slow."""

    __slots__ = ("_fastest", "batch_from")

    def __init__(self) -> None:
        self._fastest = 1.0
        self.batch_from = BATCH_FROM
        """Waiting commits from which they go out as a batch."""

    def took(self, seconds: float) -> None:
        """An append was stored after so long, alone in flight; one that is refused says nothing."""
        self._fastest = min(seconds, self._fastest * FORGET)
        self.batch_from = BATCH_FROM_FAST if self._fastest < FAST else BATCH_FROM
