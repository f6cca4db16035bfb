"""What every part of a process shares: the connection, the clock, chance, and the topology."""

import asyncio
from collections.abc import Callable
from typing import Final

from moonlet.core.codec import Encoding
from moonlet.core.ports import Clock, Entropy
from moonlet.streams.api import Headers, JetStream, Message, PubAck, Subscription
from moonlet.streams.subjects import Subjects
from moonlet.streams.topology import Topology

COMMAND_OVERHEAD: Final = 32_768
"""Bytes kept free below the server's payload limit, so that a command's commit always fits.

A commit repeats its command and adds ids (400 bytes each at most), times, digests and a reason of
at most 2,000 characters (8,000 bytes as UTF-8, 12,000 escaped in JSON).
"""


class Bus:
    """One process's way to one system of streams; made by `connect` or by a simulated world.

    `threads` says whether its process may have any, which that of a simulated world may not.

    The verbs here are core NATS and the plain publish; whatever else is asked of JetStream has a
    function or a class of its own in `moonlet.streams`, which alone uses `_js`.
    """

    __slots__ = (
        "_js",
        "clock",
        "command_limit",
        "encoding",
        "entropy",
        "max_payload",
        "subjects",
        "threads",
        "topology",
    )

    def __init__(
        self,
        js: JetStream,
        clock: Clock,
        entropy: Entropy,
        *,
        topology: Topology | None = None,
        encoding: Encoding = "json",
        threads: bool = True,
    ) -> None:
        self._js = js
        self.clock = clock
        self.entropy = entropy
        self.topology = topology or Topology()
        self.subjects = Subjects(self.topology.prefix)
        self.encoding: Encoding = encoding
        self.threads = threads
        self._learn_limits()
        js.on_reconnect(self._learn_limits)

    def _learn_limits(self) -> None:
        """`max_payload` is the server's limit for one message, headers included, in bytes.

        `command_limit` is the most bytes that a command's envelope may have, headers included.
        """
        self.max_payload = self._js.max_payload
        self.command_limit = self.max_payload - COMMAND_OVERHEAD

    # the connection

    @property
    def connected(self) -> bool:
        """Whether messages can be sent now."""
        return self._js.connected

    @property
    def description(self) -> str:
        """Where this connects to, for messages to people; holds no secret."""
        return self._js.description

    def on_reconnect(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back after every reconnect, in order of registration; returns what removes it."""
        return self._js.on_reconnect(callback)

    # messages

    def post(
        self, subject: str, data: bytes = b"", *, headers: Headers | None = None, reply: str = ""
    ) -> None:
        """Send without an answer, at most once. Raises `Disconnected`, `PayloadTooLarge`."""
        self._js.post(subject, data, headers=headers, reply=reply)

    async def request(
        self, subject: str, data: bytes = b"", *, headers: Headers | None = None, timeout: float
    ) -> Message:
        """Send and wait for one answer. Raises `NoResponders`, `NoAnswer`, `Disconnected`."""
        return await self._js.request(subject, data, headers=headers, timeout=timeout)

    def new_inbox(self) -> str:
        """A subject that nobody else knows, under the user's inbox prefix."""
        return self._js.new_inbox()

    async def subscribe(
        self, subject: str, handler: Callable[[Message], None], *, queue: str = ""
    ) -> Subscription:
        """Call `handler` for each message, in order; returns once the server knows."""
        return await self._js.subscribe(subject, handler, queue=queue)

    def publish(
        self, subject: str, data: bytes, *, headers: Headers | None = None, timeout: float
    ) -> "asyncio.Future[PubAck]":
        """Store one message in the stream that takes `subject`; every error comes by the future."""
        return self._js.publish(subject, data, headers=headers, timeout=timeout)

    async def backoff(self, attempt: int, *, at_most: float = 2.0) -> None:
        """Wait before try `attempt` (from 1): 50 ms doubling to 2 s, half of it by chance."""
        ceiling = min(2.0, 0.05 * 2 ** min(attempt - 1, 8))
        await asyncio.sleep(min(at_most, ceiling * (0.5 + 0.5 * self.entropy.uniform())))
