"""A pull consumer: what it delivers to whom, and what acknowledgements do."""

from typing import Any, Final, Protocol

import msgspec

from moonlet.simulations.jetstream import headers as fields
from moonlet.simulations.jetstream import subjects
from moonlet.simulations.jetstream.configs import StreamConfig
from moonlet.simulations.jetstream.consumer.ledger import ACK_SLACK, Ledger
from moonlet.simulations.jetstream.consumer.pulls import Pulls, WaitingPull, read_pull, status
from moonlet.simulations.jetstream.consumer.unread import Unread
from moonlet.simulations.jetstream.consumer_configs import ConsumerConfig
from moonlet.simulations.jetstream.context import ModelContext
from moonlet.simulations.jetstream.refusals import NotSimulated
from moonlet.simulations.jetstream.store import MessageStore, StreamMessage
from moonlet.streams.api import Headers

INACTIVE: Final = 5_000_000_000  # ns: how long an ephemeral consumer lives without pulls
_INACTIVE_SLACK: Final = 500_000_000  # ns: the server adds 100 to 1,000 ms at random
_NAK_SLACK: Final = 10_000_000  # ns: the server looks at a delayed message again after this


class _NakOptions(msgspec.Struct):
    delay: int = 0


class ConsumedStream(Protocol):
    """A stream, as far as its consumers are concerned."""

    @property
    def config(self) -> StreamConfig:
        """Its configuration of now."""
        ...

    @property
    def store(self) -> MessageStore:
        """Its messages."""
        ...

    @property
    def shown(self) -> MessageStore:
        """Its messages, as a replica has them."""
        ...

    @property
    def context(self) -> ModelContext:
        """The model around it."""
        ...

    @property
    def replicated(self) -> bool:
        """Whether it follows the rules of a cluster."""
        ...

    def acknowledged(self, now: int, sequence: int) -> None:
        """A message is done with for one consumer."""
        ...

    def change_filters(self, consumer: "PullConsumer", filters: tuple[str, ...]) -> None:
        """Let the consumer see what `filters` cover from now on."""
        ...

    def drop_unneeded(self, now: int, consumer: "PullConsumer", *, leaving: bool) -> None:
        """On interest retention, remove what nobody needs now that the consumer changed."""
        ...

    def remove_consumer(self, now: int, consumer: "PullConsumer") -> None:
        """Unregister."""
        ...


class PullConsumer:
    """Durable or ephemeral. It delivers in `deliver`, when the context calls it."""

    def __init__(self, stream: ConsumedStream, config: ConsumerConfig, name: str, now: int) -> None:
        self.stream = stream
        self.context = stream.context
        self.config = config
        self.name = name
        self.created = now
        self.filters = config.filters
        # One without replicas lives on any server: every second one where the stream lags.
        alone = stream.replicated and config.num_replicas == 1
        self._apart = alone and stream.context.next_turn() % 2 == 0
        self.unread = Unread(stream.shown if self._apart else stream.store, config)
        start = self.unread.start(one_per_subject=stream.config.max_msgs_per_subject == 1)
        if self._lags:
            start = min(start, stream.shown.last + 1)
        self.ledger = Ledger(
            start,
            ack=config.ack_policy,
            max_deliver=config.max_deliver,
            wait=config.ack_wait,
        )
        self.unread.find(start)
        self.pulls = Pulls(config.max_waiting, self.context.listens, self._tell)
        self.pulls.last_activity = now
        self._look = self.context.alarms.new(self._on_look)
        self._expiry = self.context.alarms.new(self._on_expiry)
        self._idle = self.context.alarms.new(self._on_idle)
        self._ack_prefix = f"$JS.ACK.{stream.config.name}.{name}."
        self._watch_idleness(now)

    # what the stream tells it

    @property
    def _lags(self) -> bool:
        """Whether it lives where the stream lags: it hears of nothing new."""
        return self.unread.store is not self.stream.store

    def lag(self, replica: MessageStore) -> None:
        """The replicas of the stream get nothing new; `replica` is what they have."""
        if self._apart:
            self.unread.store = replica
            self.unread.find(self.ledger.sequence)

    def catch_up(self) -> None:
        """They have all of it again."""
        if self._lags:
            self.unread.store = self.stream.store
            self.unread.find(self.ledger.sequence)
            self.context.wake(self)

    def stored(self, sequence: int) -> None:
        """The stream stored a message that this consumer's filters cover."""
        if self._lags:
            return
        self.unread.stored(sequence)
        if sequence >= self.ledger.sequence and self.pulls:
            self.context.wake(self)

    def recount(self) -> None:
        """Many messages were removed: count anew what is still to be delivered first."""
        self.unread.recount(self.ledger.sequence)

    def purged_one(self, sequence: int, subject: str) -> None:
        """The stream was purged of one message, `subject` being its subject or a pattern."""
        tokens = subject.split(".")
        if any(subjects.looks_covered(own.split("."), tokens) for own in self.filters or (">",)):
            covered = not self.filters or any(subjects.matches(f, subject) for f in self.filters)
            self.removed(sequence, counted=covered)

    def removed(self, sequence: int, *, counted: bool = True) -> None:
        """The stream removed a message that this consumer's filters cover."""
        ledger = self.ledger
        if counted and sequence >= ledger.sequence:
            self.unread.count -= 1
        known = ledger.pending.get(sequence)
        if known is not None:
            self.context.release(self, sequence, known.delivery)
        else:
            ledger.repeats.pop(sequence, None)

    def purged(self, pattern: str, first: int) -> None:
        """The stream was purged of `pattern` (empty: all); `first` is what is left first of it."""
        store, ledger = self.stream.store, self.ledger
        # The server's comparison: is a filter within the pattern; the pattern within a filter?
        within = not pattern or any(subjects.matches(pattern, own) for own in self.filters)
        wider = False
        if not within:
            if self.filters and not any(subjects.matches(own, pattern) for own in self.filters):
                return
            wider, first = True, store.first
        elif pattern and not all(subjects.matches(pattern, own) for own in self.filters):
            wider, first = True, store.first
        if first == 0 and not wider:
            first = store.last + 1
        ledger.purged(first, store.messages if wider else None)

    def forget_redelivered_below(self, first: int) -> None:
        """See `Ledger.forget_redelivered_below`."""
        self.ledger.forget_redelivered_below(first)

    def needs(self, sequence: int) -> bool:
        """Whether a message that its filters cover must be kept for it."""
        return self.ledger.needs(sequence)

    def close(self, now: int) -> None:
        """It was deleted: whoever waits is told."""
        self.pulls.end(409, "Consumer Deleted")
        for alarm in (self._look, self._expiry, self._idle):
            alarm.stop()

    # what clients ask for

    def pull(self, now: int, reply: str, data: bytes) -> None:
        """Take a pull request; its answers go to `reply`."""
        request = read_pull(data)
        if request is None:
            self._tell(reply, status(400, "Bad Request - invalid JSON"))
            return
        config = self.config
        if config.max_batch and request.batch > config.max_batch:
            self._tell(reply, status(409, f"Exceeded MaxRequestBatch of {config.max_batch}"))
            return
        if request.no_wait:
            available = max(self.unread.count, 0) + len(self.ledger.again)
            if not available and not request.expires:
                self.pulls.last_activity = now
                self._tell(reply, status(404, "No Messages"))
                return
            if available and available < self.pulls.sweep(now, at_end=False):
                self.pulls.last_activity = now
                self._tell(reply, status(408, "Requests Pending"))
                return
        expires = now + request.expires if request.expires else 0
        if self.pulls.add(now, WaitingPull(reply, request.batch, expires, request.no_wait)):
            self.context.wake(self)

    def answer(self, now: int, subject: str, reply: str, data: bytes) -> None:
        """Take what a client sent to the acknowledgement subject of a delivery."""
        tokens = subject.split(".")
        sequence, delivery = int(tokens[5]), int(tokens[6])
        if data in (b"", b"+ACK", b"+OK") or data.startswith(b"+TERM"):
            if sequence >= self.ledger.sequence:
                return  # without an answer
            self.acknowledge(now, sequence, delivery)
        elif data.startswith(b"+NXT"):
            raise NotSimulated("acknowledgements that pull")
        elif data.startswith(b"-NAK"):
            self._refuse(now, sequence, delivery, data[4:].strip())
        elif data == b"+WPI":
            known = self.ledger.pending.get(sequence)
            if known is not None:
                known.since = now
        if self._idle.at is not None:
            self._idle.set(now + self._patience())
        if reply:
            self.context.send(reply, reply, "", None, b"")

    def acknowledge(self, now: int, sequence: int, delivery: int) -> None:
        """A message is done with; it may leave the stream and make room for others."""
        limit = self.config.max_ack_pending
        full = 0 < limit <= len(self.ledger.pending)
        for done in self.ledger.acknowledge(sequence, delivery):
            self.stream.acknowledged(now, done)
        if full:
            self.context.wake(self)

    def _refuse(self, now: int, sequence: int, delivery: int, argument: bytes) -> None:
        ledger = self.ledger
        if not ledger.in_range(sequence, delivery):
            return
        delay = _nak_delay(argument)
        if delay is None:
            if sequence not in ledger.again:
                ledger.again[sequence] = None
            self.context.wake(self)
            return
        ledger.again.pop(sequence, None)
        ledger.pending[sequence].since = now - ledger.wait + delay
        if self._look.at is not None:
            self._look.set(now + _NAK_SLACK)

    # delivering

    def deliver(self, now: int) -> None:
        """Give out what there is to those who wait, until one of both runs out."""
        at_end = True
        while self.pulls:
            message, attempt = self._take(now)
            if message is None:
                at_end = not 0 < self.config.max_ack_pending <= len(self.ledger.pending)
                break
            waiting = self.pulls.next(now)
            if waiting is None:
                self._put_back(message.sequence, attempt)
                break
            waiting.in_flight = self.stream.replicated and self.ledger.ack != "none"
            self._hand_out(now, message, attempt, waiting)
        self.pulls.sweep(now, at_end=at_end)
        expiry = self.pulls.next_expiry()
        if expiry is None:
            self._expiry.stop()
        else:
            self._expiry.set(expiry)

    def _take(self, now: int) -> tuple[StreamMessage | None, int]:
        """The next message to deliver and which attempt it is."""
        ledger, messages = self.ledger, self.stream.store.messages
        while ledger.again:
            sequence, _ = ledger.again.popitem(last=False)
            attempt = ledger.repeat(sequence)
            if 0 < ledger.max_deliver < attempt:
                ledger.give_up(sequence)
                continue
            message = messages.get(sequence)
            if message is not None:
                return message, attempt
            ledger.unrepeat(sequence)
            known = ledger.pending.get(sequence)
            if known is not None:
                ledger.acknowledge(sequence, known.delivery)
        if 0 < self.config.max_ack_pending <= len(ledger.pending):
            return None, 0
        return self.unread.take(ledger), 1

    def _put_back(self, sequence: int, attempt: int) -> None:
        ledger = self.ledger
        if attempt == 1 and sequence == ledger.sequence - 1:
            self.unread.put_back(ledger, sequence)
        elif sequence not in ledger.again:
            ledger.unrepeat(sequence)
            ledger.again[sequence] = None

    def _hand_out(
        self, now: int, message: StreamMessage, attempt: int, waiting: WaitingPull
    ) -> None:
        if attempt == 1:
            self.unread.count -= 1
        sequence = message.sequence
        number = self.ledger.delivered(sequence, now)
        reply = (
            f"{self._ack_prefix}{attempt}.{sequence}.{number}."
            f"{message.time}.{max(self.unread.count, 0)}"
        )
        self.context.send(waiting.reply, message.subject, reply, message.headers, message.data)
        if self.ledger.ack == "none":
            self.stream.acknowledged(now, sequence)
        else:
            look = now + self.ledger.wait + ACK_SLACK
            if self._look.at is None or self._look.at > look:
                self._look.set(look)
        self.pulls.last_activity = now

    def _tell(self, reply: str, headers: Headers) -> None:
        self.context.send(reply, reply, "", headers, b"")

    # by itself

    def _on_look(self, now: int) -> None:
        full = 0 < self.config.max_ack_pending <= len(self.ledger.pending)
        found, given_up, again = self.ledger.expire(now, self.stream.store.first)
        if again is not None:
            self._look.set(again)
        if found or (given_up and full):
            self.context.wake(self)

    def _on_expiry(self, now: int) -> None:
        self.context.wake(self)

    def _patience(self) -> int:
        """How long it may be idle before it is deleted, in nanoseconds; 0 for ever."""
        threshold = self.config.inactive_threshold
        if not self.config.durable_name and not threshold:
            threshold = self.config.inactive_threshold = INACTIVE
        return threshold + _INACTIVE_SLACK if threshold else 0

    def _watch_idleness(self, now: int) -> None:
        patience = self._patience()
        if patience:
            self._idle.set(now + patience)
        else:
            self._idle.stop()

    def _on_idle(self, now: int) -> None:
        patience = self._patience()
        self.pulls.sweep(now, at_end=True)
        since = now if self.pulls else self.pulls.last_activity
        waits = [p.since + self.ledger.wait + ACK_SLACK for p in self.ledger.pending.values()]
        until = max([since, *waits]) + patience
        if until > now:
            self._idle.set(until)
        else:
            self.stream.remove_consumer(now, self)

    # administration

    def update(self, now: int, config: ConsumerConfig) -> None:
        """Take another configuration that was found to be allowed."""
        ledger, old = self.ledger, self.config
        self.config = self.unread.config = config
        ledger.max_deliver, ledger.wait = config.max_deliver, config.ack_wait
        if config.ack_wait != old.ack_wait and self._look.at is not None:
            self._look.set(now + 100_000_000)
        if config.inactive_threshold != old.inactive_threshold:
            self._watch_idleness(now)
        if config.filters != self.filters:
            self.stream.change_filters(self, config.filters)
            self.unread.find(ledger.sequence)
            if self.stream.config.retention == "interest":
                self.stream.drop_unneeded(now, self, leaving=False)
            self.recount()
        if config.max_ack_pending != old.max_ack_pending:
            self.context.wake(self)

    def restart(self, now: int) -> None:
        """The server was restarted: waiting requests and queued redeliveries are forgotten."""
        self.pulls.forget()
        self._expiry.stop()
        self.ledger.again.clear()
        if self.stream.store.last:
            self.lost_tail()
        self.unread.skip = None
        self.unread.find(self.ledger.sequence)
        if self.ledger.pending:
            # The server picks 500 to 1,500 ms at random, less for a shorter wait.
            self._look.set(now + min(1_000_000_000, self.ledger.wait + ACK_SLACK))
        self.pulls.last_activity = now
        self._watch_idleness(now)

    def lost_tail(self) -> None:
        """Come back to where the stream ends, if it ends before what was delivered."""
        if self.ledger.sequence > self.stream.store.last + 1:
            self.ledger.lost_tail(self.stream.store.last)

    def info(self, now: int) -> dict[str, Any]:
        """The server's consumer info."""
        self.pulls.sweep(now, at_end=False)
        ledger = self.ledger
        self.unread.correct(ledger.sequence)
        repeated = 0 if self.config.max_deliver == 1 else len(ledger.repeats)
        return {
            "stream_name": self.stream.config.name,
            "name": self.name,
            "created": fields.rfc3339(self.created),
            "config": self.config.to_json(),
            "delivered": {
                "consumer_seq": ledger.delivery - 1,
                "stream_seq": max(ledger.sequence - 1, 0),
            },
            "ack_floor": {
                "consumer_seq": ledger.delivery_floor,
                "stream_seq": max(ledger.floor, 0),
            },
            "num_ack_pending": len(ledger.pending),
            "num_redelivered": repeated,
            "num_waiting": len(self.pulls),
            "num_pending": max(self.unread.count, 0),
            "ts": fields.rfc3339(now),
        }


def _nak_delay(argument: bytes) -> int | None:
    """The delay of a refusal in nanoseconds; None if there is none or it can't be read."""
    if not argument:
        return None
    if argument[:1] == b"{":
        try:
            return msgspec.json.decode(argument, type=_NakOptions).delay
        except (msgspec.DecodeError, msgspec.ValidationError):
            return None
    return fields.duration(argument.decode(errors="replace"))
