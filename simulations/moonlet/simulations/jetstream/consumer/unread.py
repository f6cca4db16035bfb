"""What a consumer hasn't looked at yet: where it starts, what comes next, how many there are."""

from collections import deque

from moonlet.simulations.jetstream import headers as fields
from moonlet.simulations.jetstream.consumer.ledger import Ledger
from moonlet.simulations.jetstream.consumer_configs import ConsumerConfig
from moonlet.simulations.jetstream.store import MessageStore, StreamMessage


class Unread:
    """The messages that a consumer's filters cover and that were never delivered to it.

    `count` is the server's count of them, with the server's own mistakes. `skip` holds the last
    sequence of each subject to begin with, and the sequence to go on after.
    """

    def __init__(self, store: MessageStore, config: ConsumerConfig) -> None:
        self.store = store
        self.config = config
        self.skip: tuple[deque[int], int] | None = None
        self.count = 0
        self._queue: deque[int] = deque()
        self._counted_to = 0

    @property
    def _filters(self) -> tuple[str, ...]:
        return self.config.filters or (">",)

    def start(self, *, one_per_subject: bool) -> int:
        """The first sequence to look at (the server's selectStartingSeqNo)."""
        store, config = self.store, self.config
        policy = config.deliver_policy
        if policy == "by_start_sequence":
            return max(config.opt_start_seq, store.first)
        if store.first == 0:
            return 1
        start = store.first
        if policy == "last":
            start = max((store.last_of(f) for f in config.filters), default=store.last)
        elif policy == "new":
            start = store.last + 1
        elif policy == "by_start_time":
            assert config.opt_start_time is not None
            time = fields.from_rfc3339(config.opt_start_time)
            assert time is not None
            start = store.from_time(time)
        elif policy == "last_per_subject" and not one_per_subject:
            last = store.last_per_subject(config.filters)
            start = last[0] if last else store.last
            if last:
                self.skip = deque(last), store.last
        return max(min(start, store.last + 1), store.first)

    def find(self, sequence: int) -> None:
        """Look for what there is from `sequence` on, and count it."""
        start = sequence if self.skip is None else self.skip[1] + 1
        self._queue = deque(self.store.sequences(self._filters, start))
        self.recount(sequence)

    def recount(self, sequence: int) -> None:
        """Count anew what there is from `sequence` on."""
        store = self.store
        self._counted_to = store.last
        if self.config.deliver_policy == "last_per_subject":
            last = store.last_per_subject(self.config.filters)
            self.count = sum(1 for known in last if known >= sequence)
        else:
            self.count = store.count(self._filters, sequence)

    def correct(self, sequence: int) -> None:
        """Correct the count, as the server does whenever it is asked for it."""
        store = self.store
        if sequence > store.last:
            self.count = 0
        elif self.count > 0:
            self.count = min(self.count, len(store.messages), store.last - sequence + 1)

    def stored(self, sequence: int) -> None:
        """There is one more."""
        if sequence > self._counted_to:
            self.count += 1
        self._queue.append(sequence)

    def take(self, ledger: Ledger) -> StreamMessage | None:
        """The next one, after which the ledger's sequence stands; None if there is none now."""
        messages = self.store.messages
        if self.skip is not None:
            return messages.get(self._take_last_of_subject(ledger))
        while self._queue:
            sequence = self._queue.popleft()
            message = messages.get(sequence)
            if message is not None and sequence >= ledger.sequence:
                ledger.sequence = sequence + 1
                return message
        ledger.sequence = max(ledger.sequence, self.store.last + 1)
        self.count = 0
        return None

    def _take_last_of_subject(self, ledger: Ledger) -> int:
        assert self.skip is not None
        left, resume = self.skip
        sequence = left.popleft()
        if left:
            ledger.sequence = sequence + 1
        else:
            ledger.sequence = resume + 1
            self.skip = None
        return sequence

    def put_back(self, ledger: Ledger, sequence: int) -> None:
        """Nobody took what `take` gave last."""
        ledger.sequence -= 1
        self._queue.appendleft(sequence)
