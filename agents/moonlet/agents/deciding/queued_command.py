"""A delivered command while it waits for its agent: plain data, and how it is acknowledged."""

from typing import Protocol

import msgspec

from moonlet.agents.deciding.running import WorkNote
from moonlet.core.codec import Encoding
from moonlet.core.envelope import Envelope
from moonlet.core.errors import MoonletError
from moonlet.streams import Delivery


class Source(Protocol):
    """Where deliveries come from, as far as those who hold one need it: a consumer."""

    @property
    def stream(self) -> str:
        """The stream that holds the message."""
        ...

    def acknowledge(self, delivery: Delivery, *, credited: bool) -> None:
        """Its command is committed and its effects are out; `credited` gives a credit back."""
        ...

    def release(self, count: int = 1) -> None:
        """So many are no longer kept in memory: others may come."""
        ...


class QueuedCommand(msgspec.Struct, weakref=False):
    """A delivery in an agent's queue; `credited` if it holds a credit of its source.

    `lane` is the lane's place, critical 0. `problem` is set when it is no envelope, `readable` when
    its body was decoded by its class, `sought` when the journal was read again for the commit that
    caused it, `by_id` when its number is not believed; `revision` is its agent's
    when its handler runs.
    """

    source: Source
    delivery: Delivery
    lane: int
    credited: bool
    envelope: Envelope | None = None
    problem: MoonletError | None = None
    readable: bool = False
    sought: bool = False
    by_id: bool = False
    encoding: Encoding = "json"
    revision: int = 0

    @property
    def place(self) -> str:
        """What names it in a note: the stream and its sequence."""
        return f"{self.source.stream}:{self.delivery.sequence}"

    def noted(self) -> WorkNote:
        """What is decided now, for whoever watches the loop."""
        envelope = self.envelope
        if envelope is None:
            return WorkNote("command", "", "?", self.place)
        return WorkNote("command", envelope.agent, envelope.name, self.place, envelope.id)

    def acknowledge(self) -> None:
        """Its command is committed and its effects are out."""
        self.source.acknowledge(self.delivery, credited=self.credited)


class HeldCommand(msgspec.Struct, frozen=True, gc=False):
    """What an agent keeps of a delivery that it reads back later."""

    source: Source
    lane: int
    sequence: int
    reply: str
