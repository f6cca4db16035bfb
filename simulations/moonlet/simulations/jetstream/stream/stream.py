"""One stream: its messages, who waits for them, and what removes them."""

from typing import Any

from moonlet.simulations.jetstream import headers as fields
from moonlet.simulations.jetstream.configs import StreamConfig
from moonlet.simulations.jetstream.consumer import PullConsumer
from moonlet.simulations.jetstream.context import ModelContext
from moonlet.simulations.jetstream.refusals import NotSimulated, refused
from moonlet.simulations.jetstream.store import StreamMessage
from moonlet.simulations.jetstream.stream.expiry import Expiry
from moonlet.simulations.jetstream.stream.intake import Intake
from moonlet.simulations.jetstream.stream.schedules import Schedules
from moonlet.simulations.jetstream.stream.state import StreamState
from moonlet.streams.api import Headers


class Stream(StreamState):
    """Pure: time is an argument. What it sends goes out through the context, at once."""

    def __init__(self, config: StreamConfig, now: int, context: ModelContext) -> None:
        super().__init__(config, now, context)
        self.schedules = Schedules(self, self.store_fired)
        self.expiry = Expiry(self, self.remove)
        self.intake = Intake(self, self.insert, self.skip)

    def insert(self, now: int, subject: str, headers: Headers | None, data: bytes) -> int:
        """Store a message that passed all checks; returns its sequence.

        Raises `ServerRefused` for what is only judged while storing: limits, an invalid TTL.
        """
        config = self.config
        rare = headers is not None and not headers.keys().isdisjoint(fields.RARE)
        ttl = _ttl(headers) if rare else 0
        if config.discard == "new":
            self._refuse_new(subject, headers, data)
        expiry = now + ttl * fields.SECOND if ttl > 0 else 0
        message = StreamMessage(subject, headers, data, now, expiry)
        sequence = self.store.add(message)
        self.context.stored += 1
        self._enforce_limits(now, subject)
        if expiry or config.max_age:
            self.expiry.added(now, message)
        if config.allow_msg_schedules:
            self.schedules.stored(now, message)
        self.remember_id(now, headers, sequence)
        if headers and rare:
            self.roll_up(now, subject, headers, keep=1)
        for consumer in self.interest.matching(subject):
            consumer.stored(sequence)
        return sequence

    def skip(self, now: int, subject: str, headers: Headers | None) -> int:
        """Use up a sequence for a message that nobody is interested in; returns it."""
        sequence = self.store.skip(now)
        self.remember_id(now, headers, sequence)
        if headers:
            self.roll_up(now, subject, headers, keep=0)
        return sequence

    def remember_id(self, now: int, headers: Headers | None, sequence: int) -> None:
        """Note the message id of what was just stored."""
        self.last_id = headers.get(fields.MESSAGE_ID, "") if headers else ""
        if self.last_id:
            self.duplicates.add(self.last_id, sequence, now)

    def roll_up(self, now: int, subject: str, headers: Headers, keep: int) -> None:
        """Purge what the message's headers say, but not the message itself."""
        if not self.config.allow_rollup_hdrs or self.config.deny_purge:
            return
        rollup = headers.get(fields.ROLLUP, "").lower()
        if rollup == "sub":
            self.purge(now, subject, keep=keep)
        elif rollup == "all":
            self.purge(now, "", keep=keep)
        scheduler = headers.get(fields.SCHEDULER, "")
        if scheduler and headers.get(fields.SCHEDULE_NEXT) == "purge":
            self.purge(now, scheduler)

    def _refuse_new(self, subject: str, headers: Headers | None, data: bytes) -> None:
        config, store = self.config, self.store
        if self.replicated:
            return
        limit = config.max_msgs_per_subject
        same = store.by_subject.get(subject, [])
        full = limit > 0 and len(same) >= limit
        rolled = bool(headers and headers.get(fields.ROLLUP))
        if full and config.discard_new_per_subject and not rolled:
            raise refused(10077, err="maximum messages per subject exceeded")
        if 0 < config.max_msgs <= len(store.messages) and not full:
            raise refused(10077, err="maximum messages exceeded")
        size = store.size(subject, headers, data)
        if config.max_bytes > 0 and store.bytes + size > config.max_bytes:
            if not full or store.messages[same[0]].size < size:
                raise refused(10077, err="maximum bytes exceeded")

    def _enforce_limits(self, now: int, subject: str) -> None:
        config, store = self.config, self.store
        same = store.by_subject[subject]
        if 0 < config.max_msgs_per_subject < len(same):
            for sequence in same[: len(same) - config.max_msgs_per_subject]:
                self.remove(now, sequence)
        if config.discard == "new":
            return
        while 0 < config.max_msgs < len(store.messages):
            self.remove(now, store.first)
        while 0 < config.max_bytes < store.bytes:
            self.remove(now, store.first)

    def remove(self, now: int, sequence: int) -> bool:
        """Remove one message, telling the consumers; False if there is no such message."""
        message = self.store.remove(sequence)
        if message is None:
            return False
        self.schedules.removed(message)
        for consumer in self.interest.matching(message.subject):
            consumer.removed(sequence)
        return True

    def purge(self, now: int, pattern: str, *, below: int = 0, keep: int = 0) -> int:
        """Remove the messages of `pattern` (empty: all) below sequence `below` but the last `keep`.

        Zero means no bound. Returns how many were removed. Raises `NotSimulated`.
        """
        store = self.store
        if store.misplaces_first(below) and pattern in ("", ">"):
            raise NotSimulated("a purge below a sequence that leaves a file empty (ledger 5)")
        everything = pattern in ("", ">")
        last = store.last
        if self.replicated and not below and not keep:
            below = last + 1  # the cluster's leader says up to where
        if everything and not below and not keep and not store.messages:
            store.first = last + 1
        found = list(store.sequences((pattern or ">",), 0))
        if below:
            found = [sequence for sequence in found if sequence < below]
        elif keep:
            found = found[:-keep]
        for sequence in found:
            message = store.remove(sequence)
            assert message is not None
            self.schedules.removed(message)
            if len(found) == 1 and (keep or not everything):
                # On file storage the server names the pattern instead of the subject.
                subject = (pattern or ">") if store.file else message.subject
                for consumer in self.consumers.values():
                    consumer.purged_one(sequence, subject)
        if everything and below > last + 1:
            store.last, store.first = below - 1, below
        if len(found) > 1 or (found and everything and not keep):
            for consumer in self.consumers.values():
                consumer.recount()
                consumer.forget_redelivered_below(store.first)
        first = store.first
        if pattern:
            first = next(store.sequences((pattern,), 0), 0)
        for consumer in list(self.consumers.values()):
            consumer.purged(pattern, first)
        return len(found)

    def acknowledged(self, now: int, sequence: int) -> None:
        """Remove a message that no consumer needs any more, unless limits alone decide."""
        if self.config.retention == "limits":
            return
        message = self.store.messages.get(sequence)
        if message is not None and not self._needed(sequence, message.subject, None):
            self.remove(now, sequence)

    def _needed(self, sequence: int, subject: str, leaving: PullConsumer | None) -> bool:
        return any(
            consumer is not leaving and consumer.needs(sequence)
            for consumer in self.interest.matching(subject)
        )

    def add_consumer(self, consumer: PullConsumer) -> None:
        """Register; the consumer starts where its configuration says."""
        self.consumers[consumer.name] = consumer
        for pattern in consumer.filters or (">",):
            self.interest.add(pattern, consumer)

    def remove_consumer(self, now: int, consumer: PullConsumer) -> None:
        """Unregister; on interest retention, messages that only it needed go."""
        del self.consumers[consumer.name]
        for pattern in consumer.filters or (">",):
            self.interest.remove(pattern, consumer)
        consumer.close(now)
        if self.config.retention == "interest":
            self.drop_unneeded(now, consumer, leaving=True)

    def drop_unneeded(self, now: int, consumer: PullConsumer, *, leaving: bool) -> None:
        """On interest retention, remove what nobody needs now that `consumer` changed or left.

        As the server, look only at what the consumer had not done with.
        """
        if not self.consumers:
            self.purge(now, "")
            return
        if consumer.ledger.floor > self.store.last:
            # nats-server 2.15.1 counts below zero and then moves the stream's first sequence.
            raise NotSimulated("the end of a consumer of the future on interest retention")
        gone = consumer if leaving else None
        for sequence in list(self.store.sequences((), max(consumer.ledger.floor, 1))):
            if not self._needed(sequence, self.store.messages[sequence].subject, gone):
                self.remove(now, sequence)

    def state(self) -> dict[str, Any]:
        """The server's `state` of a stream."""
        store = self.led
        first = store.messages.get(store.first)
        never = "0001-01-01T00:00:00Z"
        shown: dict[str, Any] = {
            "messages": len(store.messages),
            "bytes": store.bytes,
            "first_seq": store.first,
            "first_ts": fields.rfc3339(first.time) if first else never,
            "last_seq": store.last,
            "last_ts": fields.rfc3339(store.last_time) if store.last_time else never,
            "consumer_count": len(self.consumers),
        }
        if store.by_subject:
            shown["num_subjects"] = len(store.by_subject)
        deleted = store.last - store.first + 1 - len(store.messages)
        if store.messages and deleted:
            shown["num_deleted"] = deleted
        return shown

    def change_filters(self, consumer: PullConsumer, filters: tuple[str, ...]) -> None:
        """Let `consumer` see what `filters` cover from now on."""
        for pattern in consumer.filters or (">",):
            self.interest.remove(pattern, consumer)
        consumer.filters = filters
        for pattern in filters or (">",):
            self.interest.add(pattern, consumer)

    def store_fired(self, now: int, subject: str, headers: Headers, data: bytes) -> None:
        """Store what a schedule fired."""
        self.intake.store(now, subject, headers, data)

    def update(self, now: int, config: StreamConfig) -> None:
        """Take another configuration that was found to be allowed."""
        self.config = config
        self.duplicates.window = config.duplicate_window
        for subject in list(self.store.by_subject):
            if subject in self.store.by_subject:
                self._enforce_limits(now, subject)
        self.expiry.overdue(now)
        self.expiry.recover(now)
        self.schedules.recover(now)

    def lag(self) -> None:
        """From now on its replicas get nothing new, if it has any; its leader does."""
        if self.replicated and self.replica is None:
            self.replica = self.store.copy()
            for consumer in self.consumers.values():
                consumer.lag(self.replica)

    def catch_up(self) -> None:
        """Its replicas have again what their leader has."""
        if self.replica is not None:
            self.replica = None
            for consumer in self.consumers.values():
                consumer.catch_up()

    def revive(self) -> int:
        """What ran out stands there again and never will run out; how many messages.

        See `Expiry.ended`. Call it while the server is down.
        """
        ended = [m for m in self.expiry.ended.values() if m.subject not in self.store.by_subject]
        self.expiry.ended.clear()
        for message in ended:
            message.expiry = 0
            self.store.put_back(message)
        return len(ended)

    def close(self, now: int) -> None:
        """The stream is deleted, and all its consumers with it."""
        for consumer in self.consumers.values():
            consumer.close(now)
        self.intake.restart()
        self.expiry.stop()
        self.schedules.stop()

    def restart(self, now: int) -> None:
        """The server was restarted: only what is stored is remembered.

        Ids are read back from the stored messages, so those of removed messages are forgotten.
        """
        self.catch_up()
        self.intake.restart()
        self.duplicates.clear()
        for sequence, message in self.store.messages.items():
            if message.headers and message.time > now - self.config.duplicate_window:
                if id := message.headers.get(fields.MESSAGE_ID, ""):
                    self.duplicates.add(id, sequence, message.time)
        last = self.store.messages.get(self.store.last)
        self.last_id = (last.headers or {}).get(fields.MESSAGE_ID, "") if last else ""
        self.expiry.overdue(now)
        self.expiry.recover(now)
        self.schedules.recover(now)
        for consumer in self.consumers.values():
            consumer.restart(now)

    def lose_tail(self, count: int) -> int:
        """Lose the last `count` sequences, as by power loss without fsync; then `restart`.

        Returns how many messages were lost.
        """
        lost = self.store.lose_tail(count)
        for consumer in self.consumers.values():
            consumer.lost_tail()
        return len(lost)


def _ttl(headers: Headers | None) -> int:
    text = headers.get(fields.TTL, "") if headers else ""
    if not text:
        return 0
    ttl = fields.ttl_seconds(text)
    if ttl is None:
        raise refused(10165)
    return ttl
