"""What a stream needs from the model around it."""

from collections.abc import Callable
from typing import Protocol

from moonlet.simulations.jetstream.clocks import Alarms
from moonlet.streams.api import Headers

Send = Callable[[str, str, str, Headers | None, bytes], object]
"""(to, subject shown, reply, headers, data): hand a message to whoever listens at `to`."""


class Deliverer(Protocol):
    """A consumer, as far as what is put off concerns it."""

    def acknowledge(self, now: int, sequence: int, delivery: int) -> None:
        """A message is done with."""
        ...

    def deliver(self, now: int) -> None:
        """Give out what there is to those who wait."""
        ...


class ModelContext:
    """Alarms, a way out for messages, and the consumers that may have something to deliver."""

    def __init__(self, send: Send, listens: Callable[[str], bool], *, commit_latency: int) -> None:
        self.alarms = Alarms()
        self.commit_latency = commit_latency
        self.send = send
        self.listens = listens
        self.stored = 0  # messages, ever
        self.old_leader = False
        """Whether a server answers as the leader that no longer is: where replicas lag, too."""
        self._turns = 0
        self._awake: dict[Deliverer, None] = {}
        self._released: list[tuple[Deliverer, int, int]] = []

    def next_turn(self) -> int:
        """0, 1, 2 … : what a real server leaves to chance goes by turns."""
        self._turns += 1
        return self._turns - 1

    def wake(self, consumer: Deliverer) -> None:
        """Let `consumer` deliver once what happens now is finished."""
        self._awake[consumer] = None

    def release(self, consumer: Deliverer, sequence: int, delivery: int) -> None:
        """A message is gone that `consumer` had delivered: it counts as acknowledged.

        The server sees to that beside what it is doing, and practically always later.
        """
        self._released.append((consumer, sequence, delivery))

    def settle(self, now: int) -> None:
        """Finish what was put off, then let all that were woken deliver, in order."""
        while self._released or self._awake:
            released, self._released = self._released, []
            for consumer, sequence, delivery in released:
                consumer.acknowledge(now, sequence, delivery)
            if not self._released and self._awake:
                consumer = next(iter(self._awake))
                del self._awake[consumer]
                consumer.deliver(now)
