"""JetStream as a pure value: streams, consumers and their rules. Time is an argument (ns)."""

from collections.abc import Callable
from typing import Final

from moonlet.simulations.jetstream.configs import StreamConfig
from moonlet.simulations.jetstream.consumer.consumer import Consumer
from moonlet.simulations.jetstream.consumer_configs import ConsumerConfig, check_update
from moonlet.simulations.jetstream.context import Context, Send
from moonlet.simulations.jetstream.model import api, reads
from moonlet.simulations.jetstream.refusals import NotSimulated, refused
from moonlet.simulations.jetstream.stream.stream import Stream
from moonlet.simulations.jetstream.subjects import Patterns, collide
from moonlet.streams.api import Headers

_ACK: Final = "$JS.ACK."
_NEXT: Final = "$JS.API.CONSUMER.MSG.NEXT."
_DIRECT: Final = "$JS.API.DIRECT.GET."


class Model:
    """One server, or a cluster of `servers`; neither clock nor randomness nor I/O in it.

    `send` takes what goes out; `listens` says whether anybody receives a subject now.
    `commit_latency` (ns) is how long a replicated stream takes to store.
    """

    def __init__(
        self,
        send: Send,
        listens: Callable[[str], bool],
        *,
        servers: int = 1,
        commit_latency: int = 0,
    ) -> None:
        self.servers = servers
        self.streams: dict[str, Stream] = {}
        self._context = Context(send, listens, commit_latency=commit_latency)
        self._subjects: Patterns[Stream] = Patterns()
        self._names = 0

    def receive(
        self, now: int, subject: str, reply: str, headers: Headers | None, data: bytes
    ) -> bool:
        """Take one message; False if it is nothing to JetStream. `now` may not go back.

        Raises `NotSimulated` for what this model doesn't cover.
        """
        self.advance(now)
        try:
            if subject.startswith("$JS."):
                return self._receive_request(now, subject, reply, data)
            streams = self._subjects.matching(subject)
            for stream in streams:
                stream.intake.publish(now, subject, reply, headers, data)
            return bool(streams)
        finally:
            self._context.settle(now)

    def _receive_request(self, now: int, subject: str, reply: str, data: bytes) -> bool:
        tokens = subject.split(".")
        if subject.startswith(_ACK):
            consumer = self._consumer(tokens[2], tokens[3]) if len(tokens) == 9 else None
            if consumer is None or consumer.config.ack_policy == "none":
                return False  # nobody listens there
            consumer.answer(now, subject, reply, data)
            return True
        if subject.startswith(_NEXT):
            consumer = self._consumer(tokens[5], tokens[6]) if len(tokens) == 7 else None
            if consumer is not None and reply:
                consumer.pull(now, reply, data)
            return consumer is not None
        if subject.startswith(_DIRECT):
            return self._direct_get(tokens, reply, data)
        if not subject.startswith(api.PREFIX):
            raise NotSimulated(f"the subject {subject}")
        answer = api.answer(self, now, subject, data)
        if reply:
            self._context.send(reply, reply, "", None, answer)
        return True

    def _direct_get(self, tokens: list[str], reply: str, data: bytes) -> bool:
        stream = self.streams.get(tokens[4])
        if stream is None or not stream.config.allow_direct:
            return False
        subject = ".".join(tokens[5:])
        answers = reads.direct_last(stream, subject) if subject else reads.direct_get(stream, data)
        for headers, body in answers:
            self._context.send(reply, reply, "", headers, body)
        return True

    def _consumer(self, stream: str, name: str) -> Consumer | None:
        found = self.streams.get(stream)
        return None if found is None else found.consumers.get(name)

    def stores(self, subject: str) -> bool:
        """Whether a stream stores what is published to `subject`."""
        return bool(self._subjects.matching(subject))

    @property
    def stored(self) -> int:
        """How many messages its streams have stored, ever; what was restored is not counted."""
        return self._context.stored

    def next_event(self) -> int | None:
        """When something happens by itself: then call `advance`. None: never."""
        return self._context.alarms.next()

    def advance(self, now: int) -> None:
        """Let time pass until `now`: everything due happens, each at its own time."""
        alarms = self._context.alarms
        while (at := alarms.next()) is not None and at <= now:
            alarms.ring(at)
            self._context.settle(at)

    # what `api` asks for, checked before

    def add_stream(self, now: int, config: StreamConfig) -> Stream:
        """Create a stream."""
        stream = self.streams[config.name] = Stream(config, now, self._context)
        for pattern in config.subjects:
            self._subjects.add(pattern, stream)
        return stream

    def update_stream(self, now: int, stream: Stream, config: StreamConfig) -> None:
        """Give a stream another configuration."""
        for pattern in stream.config.subjects:
            self._subjects.remove(pattern, stream)
        for pattern in config.subjects:
            self._subjects.add(pattern, stream)
        stream.update(now, config)

    def delete_stream(self, now: int, stream: Stream) -> None:
        """Delete a stream with its consumers."""
        del self.streams[stream.config.name]
        for pattern in stream.config.subjects:
            self._subjects.remove(pattern, stream)
        stream.close(now)

    def add_consumer(
        self, now: int, stream: Stream, config: ConsumerConfig, action: str
    ) -> Consumer:
        """Create, confirm or update a consumer. Raises `ServerRefused`."""
        name = config.durable_name or config.name
        known = stream.consumers.get(name) if name else None
        if known is not None:
            if action == "create" and known.config != config:
                raise refused(10148)
            if self.servers == 1:
                _check_unique(stream, name, config)
            check_update(known.config, config)
            if config.filters != known.filters and stream.replicated:
                # A cluster lets filters of a work queue overlap then.
                raise NotSimulated("changing a consumer's filters on a cluster")
            if known.config != config:
                known.update(now, config)
            return known
        if action == "update":
            raise refused(10149)
        if 0 < stream.config.max_consumers <= len(stream.consumers):
            raise refused(10026)
        _check_work_queue(stream, name, config)
        if not name:
            self._names += 1
            name = config.name = f"e{self._names:08d}"
        consumer = Consumer(stream, config, name, now)
        stream.add_consumer(consumer)
        return consumer

    # faults

    def restart(self, now: int) -> None:
        """Stop and start the server: only what it has stored is remembered."""
        self.advance(now)
        for stream in list(self.streams.values()):
            if stream.config.storage == "memory":
                if stream.replicated:
                    raise NotSimulated("restarting a whole cluster with streams in memory")
                self.delete_stream(now, stream)
            else:
                stream.restart(now)
        self._context.settle(now)

    def power_loss(self, now: int, lose_last: int) -> dict[str, int]:
        """Lose the last `lose_last` sequences of every stream, then restart.

        Returns how many messages each stream lost.
        """
        self.advance(now)
        lost = {name: stream.lose_tail(lose_last) for name, stream in self.streams.items()}
        self.restart(now)
        return lost


def _check_unique(stream: Stream, name: str, config: ConsumerConfig) -> None:
    if stream.config.retention != "workqueue":
        return
    for other in stream.consumers.values():
        if other.name == name:
            continue
        if config.filters and not other.filters and stream.replicated:
            # A cluster refuses too, but keeps a name without a consumer.
            raise NotSimulated("consumers beside one without filters on a work queue of a cluster")
        if config.filters and (
            not other.filters
            or any(collide(mine, theirs) for mine in config.filters for theirs in other.filters)
        ):
            raise refused(10100)


def _check_work_queue(stream: Stream, name: str, config: ConsumerConfig) -> None:
    if stream.config.retention != "workqueue":
        return
    if config.ack_policy != "explicit":
        raise refused(10098)
    if config.deliver_policy != "all":
        raise refused(10101)
    if stream.consumers and not config.filters:
        raise refused(10099)
    _check_unique(stream, name, config)
