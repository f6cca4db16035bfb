"""What a stream needs from the model around it."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from moonlet.simulations.jetstream.clocks import Alarms
from moonlet.streams.api import Headers

if TYPE_CHECKING:
    from moonlet.simulations.jetstream.consumer import Consumer

Send = Callable[[str, str, str, Headers | None, bytes], None]
"""(to, subject shown, reply, headers, data): hand a message to whoever listens at `to`."""


class Context:
    """Alarms, a way out for messages, and the consumers that may have something to deliver."""

    def __init__(self, send: Send, listens: Callable[[str], bool], *, commit_latency: int) -> None:
        self.alarms = Alarms()
        self.commit_latency = commit_latency
        self.send = send
        self.listens = listens
        self._awake: dict[Consumer, None] = {}

    def wake(self, consumer: "Consumer") -> None:
        """Let `consumer` deliver once what happens now is finished."""
        self._awake[consumer] = None

    def settle(self, now: int) -> None:
        """Let all that were woken deliver, in the order they were."""
        while self._awake:
            consumer = next(iter(self._awake))
            del self._awake[consumer]
            consumer.deliver(now)
