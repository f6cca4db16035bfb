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
        self._bytes: dict[str, int] = {}
        self._all = 0

    def take(self, agent: str, data: bytes) -> bool:
        """Room for a delivery with this data, until `free` is called; False if there is none."""
        size = len(data) + OVERHEAD
        if self._all + size > BACKLOG_BYTES or buggify(
            "a command of a cold agent keeps its credit"
        ):
            return False
        self._all += size
        self._bytes[agent] = self._bytes.get(agent, 0) + size
        return True

    def free(self, agent: str) -> None:
        """The agent was read, or is given up: what it took is free; nothing if that is nothing."""
        self._all -= self._bytes.pop(agent, 0)
