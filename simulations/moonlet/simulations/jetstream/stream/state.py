"""What a stream is at a moment: its configuration, what it holds, and what it remembers.

The rules read and write it; only `Stream` stores and removes messages.
"""

from moonlet.simulations.jetstream.configs import StreamConfig
from moonlet.simulations.jetstream.consumer import PullConsumer
from moonlet.simulations.jetstream.context import ModelContext
from moonlet.simulations.jetstream.store import MessageStore
from moonlet.simulations.jetstream.stream.duplicates import Duplicates
from moonlet.simulations.jetstream.stream.staging import InFlight
from moonlet.simulations.jetstream.subjects import Patterns


class StreamState:
    """`created` in nanoseconds since 1970; `last_id` is the last stored message's id, if any."""

    def __init__(self, config: StreamConfig, now: int, context: ModelContext) -> None:
        self.config = config
        self.created = now
        self.context = context
        self.store = MessageStore(file=config.storage == "file")
        self.consumers: dict[str, PullConsumer] = {}
        self.interest: Patterns[PullConsumer] = Patterns()
        self.duplicates = Duplicates(config.duplicate_window)
        self.in_flight = InFlight()
        self.last_id = ""
        self.replica: MessageStore | None = None
        """What a replica holds that lags; None while all have what their leader has."""

    @property
    def led(self) -> MessageStore:
        """What whoever takes itself for the leader has: a server that was just replaced, too."""
        return self.shown if self.context.old_leader else self.store

    @property
    def shown(self) -> MessageStore:
        """What any replica may show."""
        return self.store if self.replica is None else self.replica

    @property
    def replicated(self) -> bool:
        """Whether the stream follows the rules of a cluster (R3) or of one server (R1)."""
        return self.config.num_replicas > 1
