"""A connection of a process to the server of its world."""

from __future__ import annotations

import contextvars
from collections.abc import Callable

from moonlet.simulations.jetstream import MemoryJetStream, MemoryServer, Packet


class SimConnection(MemoryJetStream):
    """A connection of a process: it can't come about through a partition, and dies with it."""

    def __init__(
        self,
        server: MemoryServer,
        name: str,
        may_open: Callable[[], bool],
    ) -> None:
        super().__init__(server, name)
        self._may_open = may_open
        self.context = contextvars.copy_context()

    def open(self) -> bool:
        """See `Connection.open`; the server drops an older connection of this name."""
        if not self._may_open():
            return False
        self.server.detach(self.name)
        return super().open()

    def take(self, packet: Packet) -> None:
        """A packet from the server arrives."""
        self._arrive(packet)

    def listener(self, subject: str) -> int | None:
        """The number of the subscription that a reply to `subject` goes to."""
        for number, subscription in self._subscriptions.items():
            wanted = subscription.subject
            if wanted == subject or (
                wanted.endswith(".*") and subject.rpartition(".")[0] == wanted[:-2]
            ):
                return number
        return None
