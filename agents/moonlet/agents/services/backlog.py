"""Commands of agents that are not in memory yet: they wait, and nobody waits behind them."""

from typing import Final

from moonlet.core.marks import buggify

BACKLOG_BYTES: Final = 64 * 1_048_576
"""Bytes of memory that they may take in one host."""

OVERHEAD: Final = 1_024
"""Bytes that a delivery takes in memory beside its data."""


class Backlog:
    """How much of the host's memory deliveries take that hold no credit of their consumer.

    A consumer's credit is for all agents of a partition. Were it used up by commands whose agents
    are being read, those behind them would wait too, though their agents are warm.
    """

    def __init__(self) -> None:
        self._taken: dict[str, tuple[int, int]] = {}
        self._all = 0

    def take(self, agent: str, data: bytes, most: int | None) -> bool:
        """Room for a delivery with this data, until `free` is called; False if there is none.

        At most `most` deliveries of an agent: all are answered at once when it has been read, and
        stand in their queue until the server has removed them.
        """
        size = len(data) + OVERHEAD
        count, taken = self._taken.get(agent, (0, 0))
        if count == most or self._all + size > BACKLOG_BYTES:
            return False
        if buggify("a command of a cold agent keeps its credit"):
            return False
        self._all += size
        self._taken[agent] = count + 1, taken + size
        return True

    def free(self, agent: str) -> None:
        """The agent was read, or is given up: what it took is free; nothing if that is nothing."""
        self._all -= self._taken.pop(agent, (0, 0))[1]
