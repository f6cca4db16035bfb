"""What every part of a process shares: the connection, the clock, chance, and the topology."""

import asyncio
from typing import Final

from moonlet.core.codec import Encoding
from moonlet.core.ports import Clock, Entropy
from moonlet.streams.api import JetStream
from moonlet.streams.subjects import Subjects
from moonlet.streams.topology import Topology

COMMAND_OVERHEAD: Final = 32_768
"""Bytes kept free below the server's payload limit, so that a command's commit always fits.

A commit repeats its command and adds ids (400 bytes each at most), times, digests and a reason of
at most 2,000 characters (8,000 bytes as UTF-8, 12,000 escaped in JSON).
"""


class Bus:
    """One process's way to one system of streams; made by `connect` or by a simulated world."""

    __slots__ = ("clock", "encoding", "entropy", "js", "subjects", "topology")

    def __init__(
        self,
        js: JetStream,
        clock: Clock,
        entropy: Entropy,
        *,
        topology: Topology | None = None,
        encoding: Encoding = "json",
    ) -> None:
        self.js = js
        self.clock = clock
        self.entropy = entropy
        self.topology = topology or Topology()
        self.subjects = Subjects(self.topology.prefix)
        self.encoding: Encoding = encoding

    @property
    def command_limit(self) -> int:
        """The most bytes that a command's envelope may have, headers included."""
        return self.js.max_payload - COMMAND_OVERHEAD

    async def backoff(self, attempt: int) -> None:
        """Wait before try `attempt` (from 1): 50 ms doubling to 2 s, half of it by chance."""
        ceiling = min(2.0, 0.05 * 2 ** min(attempt - 1, 8))
        await asyncio.sleep(ceiling * (0.5 + 0.5 * self.entropy.uniform()))
