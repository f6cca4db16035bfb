"""The streams of a model and their consumers: made, changed and deleted once they were judged."""

from collections.abc import Callable

from moonlet.simulations.jetstream.configs import StreamConfig
from moonlet.simulations.jetstream.consumer import PullConsumer
from moonlet.simulations.jetstream.consumer_configs import ConsumerConfig, check_update
from moonlet.simulations.jetstream.context import ModelContext, Send
from moonlet.simulations.jetstream.refusals import NotSimulated, refused
from moonlet.simulations.jetstream.stream import Stream
from moonlet.simulations.jetstream.subjects import Patterns, collide


class StreamCatalog:
    """What the API changes. `streams` by name; `servers` is 1, or 3 for a cluster."""

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
        self._context = ModelContext(send, listens, commit_latency=commit_latency)
        self._subjects: Patterns[Stream] = Patterns()
        self._names = 0

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
    ) -> PullConsumer:
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
        consumer = PullConsumer(stream, config, name, now)
        stream.add_consumer(consumer)
        return consumer


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
