"""JetStream as a pure value: streams, consumers and their rules. Time is an argument (ns)."""

from typing import Final

from moonlet.simulations.jetstream.consumer import PullConsumer
from moonlet.simulations.jetstream.model import api, reads
from moonlet.simulations.jetstream.model.catalog import StreamCatalog
from moonlet.simulations.jetstream.refusals import NotSimulated
from moonlet.streams.api import Headers

_ACK: Final = "$JS.ACK."
_NEXT: Final = "$JS.API.CONSUMER.MSG.NEXT."
_DIRECT: Final = "$JS.API.DIRECT.GET."


class Model(StreamCatalog):
    """One server, or a cluster of `servers`; neither clock nor randomness nor I/O in it.

    `send` takes what goes out; `listens` says whether anybody receives a subject now.
    `commit_latency` (ns) is how long a replicated stream takes to store.
    """

    old_leaders = 0
    """How often a server that was the leader no longer answered as one."""

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

    def _consumer(self, stream: str, name: str) -> PullConsumer | None:
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

    # faults

    def restart(self, now: int) -> None:
        """Stop and start the server: only what it has stored is remembered."""
        self.advance(now)
        self.step_down()
        for stream in list(self.streams.values()):
            if stream.config.storage == "memory":
                if stream.replicated:
                    raise NotSimulated("restarting a whole cluster with streams in memory")
                self.delete_stream(now, stream)
            else:
                stream.restart(now)
        self._context.settle(now)

    def lag(self, now: int, *, old_leader: bool = False) -> bool:
        """From now on the replicas of streams get nothing new; False if no stream has any.

        With `old_leader` one of them takes itself for the leader, and answers for it.
        """
        self.advance(now)
        if not any(stream.replicated for stream in self.streams.values()):
            return False
        self._context.old_leader = self._context.old_leader or old_leader
        self.old_leaders += old_leader
        for stream in self.streams.values():
            stream.lag()
        return True

    def catch_up(self, now: int) -> None:
        """The replicas have what their leaders have."""
        self.advance(now)
        self.step_down()
        for stream in self.streams.values():
            stream.catch_up()
        self._context.settle(now)

    def step_down(self) -> None:
        """Who takes itself for the leader, and isn't, learns of it."""
        self._context.old_leader = False

    def revive(self) -> int:
        """Let what had run out stand there again, for ever; how many messages.

        Before a `restart`, which is the only time that a server does so.
        """
        return sum(stream.revive() for stream in self.streams.values())

    def power_loss(self, now: int, lose_last: int) -> dict[str, int]:
        """Lose the last `lose_last` sequences of every stream, then restart.

        Returns how many messages each stream lost.
        """
        self.advance(now)
        lost = {name: stream.lose_tail(lose_last) for name, stream in self.streams.items()}
        self.restart(now)
        return lost
