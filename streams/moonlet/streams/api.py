"""The JetStream calls we make: the one narrow door through which `streams` reaches a server.

`nats_api.py` fits it over nats-py, `moonlet.simulations` over a pure model. Nothing above this
module knows which. Calls that only hand bytes over are plain functions (they return at once);
calls that wait are coroutines or return a future that is always resolved within its timeout.

Errors: `ServerRefused` carries the server's code; `NoResponders` means that nobody received the
message; `Disconnected` that it was not sent; `NoAnswer` that it is not known. `PermissionDenied`
is the server's refusal of a subject.
"""

from asyncio import Future
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

import msgspec

from moonlet.core.errors import MoonletError, Unavailable

Headers = Mapping[str, str]

ANSWERS_MAX: Final = 200_000
"""Subjects of which a sieve remembers whether they are wanted."""


class ServerRefused(MoonletError):
    """The server answered with an error: `code` (HTTP-like), `err_code` (JetStream's), text."""

    def __init__(self, code: int, err_code: int, description: str) -> None:
        super().__init__(f"the server refused: {description} ({code}/{err_code})")
        self.code = code
        self.err_code = err_code
        self.description = description


class NoResponders(Unavailable):
    """Nobody listens on the subject (503): the message was not received by anyone."""


class Disconnected(Unavailable):
    """There is no connection now: the message was not sent."""


class NoAnswer(Unavailable):
    """No answer within the timeout: the message may or may not have had its effect."""


class StreamGone(Unavailable):
    """The stream of that name isn't there: nobody has made it yet, or it was deleted."""

    def __init__(self, message: str, *, stream: str) -> None:
        super().__init__(message)
        self.stream = stream


class Message(msgspec.Struct, frozen=True, gc=False):
    """A core NATS message. `headers` has the status of a status message as `Status`."""

    subject: str
    data: bytes
    headers: Headers | None
    reply: str


class Outgoing(msgspec.Struct, frozen=True, gc=False):
    """One message of an atomic batch."""

    subject: str
    data: bytes
    headers: dict[str, str]


class StoredMessage(msgspec.Struct, frozen=True, gc=False):
    """A message as a stream holds it. `time` is the server's, in nanoseconds since 1970."""

    subject: str
    sequence: int
    time: int
    headers: Headers | None
    data: bytes


class Delivery(msgspec.Struct, frozen=True, gc=False):
    """A message as a consumer delivers it; `reply` is where it is acknowledged.

    `sequence` is the stream's, `consumer_sequence` counts this consumer's deliveries from 1
    without a gap, `attempt` counts deliveries of this message from 1, `time` as in
    `StoredMessage`. `encoding` and `protocol` are the headers of these names (`ENCODING_HEADER`,
    `PROTOCOL_HEADER`).
    """

    subject: str
    data: bytes
    headers: Headers | None
    reply: str
    sequence: int
    consumer_sequence: int
    attempt: int
    time: int
    encoding: str | None = None
    protocol: str | None = None


class PullStatus(msgspec.Struct, frozen=True):
    """The end of one pull request: 408 expired, 409 consumer gone or changed, 404, 503, …

    `missing` is how many of the messages asked for the server did not send; where it doesn't say
    (409 at a deleted consumer) it is the whole request.
    """

    code: int
    description: str
    missing: int


class PubAck(msgspec.Struct, frozen=True, gc=False):
    """The server stored the message (or had it: `duplicate`); of a batch, the last sequence."""

    stream: str
    sequence: int
    duplicate: bool = False


class Subscription(Protocol):
    """A core NATS subscription; it survives reconnects."""

    async def unsubscribe(self) -> None:
        """End it; no handler runs afterwards. Twice is harmless; it never raises: without a
        connection there is nothing to end."""
        ...


class Sieve:
    """Which of very many deliveries are wanted: told by their subjects, before they are decoded.

    Asks `wants` once for each subject, as far as that is remembered; counts all that arrives:
    `count` deliveries since `begin`, of which the last has the stream's `sequence` and the
    consumer's `consumer_sequence`. Passing over a message costs half of handing it on.
    """

    __slots__ = ("_wants", "answers", "consumer_sequence", "count", "sequence")

    def __init__(self, wants: Callable[[str], bool]) -> None:
        self._wants = wants
        self.answers: dict[bytes, bool] = {}
        self.begin()

    def begin(self) -> None:
        """Nothing has arrived yet of the consumer that is read through it next."""
        self.count = self.sequence = self.consumer_sequence = 0

    def wanted(self, subject: bytes) -> bool:
        """Whether messages of this subject are to be handed on; asks if that isn't known."""
        answer = self.answers.get(subject)
        if answer is None:
            answer = self._wants(subject.decode())
            if len(self.answers) < ANSWERS_MAX:
                self.answers[subject] = answer
        return answer

    def forget(self, subject: str) -> None:
        """Ask again for this subject: the answer is another now."""
        self.answers.pop(subject.encode(), None)

    def passed(self, count: int, sequence: int, consumer_sequence: int) -> None:
        """So many deliveries have arrived; these are the numbers of the last."""
        self.count += count
        self.sequence = sequence
        self.consumer_sequence = consumer_sequence


class Pull(Protocol):
    """One inbox that pulls from one consumer. Requests are lost when the connection is."""

    def request(self, batch: int, *, expires: float) -> None:
        """Ask for up to `batch` messages within `expires` seconds. Raises `Disconnected`."""
        ...

    def answer_to(self, question: int) -> str:
        """Where the answer to an acknowledgement goes, so that `on_confirmed` gets `question`."""
        ...

    async def close(self) -> None:
        """Stop; what the server has sent and nobody took is redelivered later."""
        ...


class JetStream(Protocol):
    """One connection to one server or cluster."""

    @property
    def connected(self) -> bool:
        """Whether messages can be sent now."""
        ...

    @property
    def max_payload(self) -> int:
        """The server's limit for one message, headers included, in bytes."""
        ...

    @property
    def description(self) -> str:
        """Where this connects to, for messages to people; holds no secret."""
        ...

    def on_reconnect(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back after every reconnect, in order of registration; returns what removes it."""
        ...

    def on_closed(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back when the connection ends for good; returns what removes it."""
        ...

    async def close(self) -> None:
        """Send what is buffered, then disconnect. Twice is harmless."""
        ...

    async def server_info(self) -> dict[str, Any]:
        """The server's own facts: at least `version`, `jetstream`, `max_payload`, `rtt` (s)."""
        ...

    # core NATS

    def post(
        self, subject: str, data: bytes = b"", *, headers: Headers | None = None, reply: str = ""
    ) -> None:
        """Send without an answer, at most once. Raises `Disconnected`, `PayloadTooLarge`."""
        ...

    async def request(
        self, subject: str, data: bytes = b"", *, headers: Headers | None = None, timeout: float
    ) -> Message:
        """Send and wait for one answer. Raises `NoResponders`, `NoAnswer`, `Disconnected`."""
        ...

    def new_inbox(self) -> str:
        """A subject that nobody else knows, under the user's inbox prefix."""
        ...

    async def subscribe(
        self, subject: str, handler: Callable[[Message], None], *, queue: str = ""
    ) -> Subscription:
        """Call `handler` for each message, in order; returns once the server knows."""
        ...

    # publishing to streams

    def publish(
        self, subject: str, data: bytes, *, headers: Headers | None = None, timeout: float
    ) -> "Future[PubAck]":
        """Store one message. The future raises any of this module's errors."""
        ...

    def publish_batch(self, messages: Sequence[Outgoing], *, timeout: float) -> "Future[PubAck]":
        """Store 1 to 1,000 messages of one stream, all or none (ADR-50)."""
        ...

    # reading streams

    async def last_message(
        self, stream: str, subject: str, *, timeout: float = 5.0
    ) -> StoredMessage | None:
        """The subject's last message, read from the stream's leader; None if there is none."""
        ...

    async def message(
        self, stream: str, sequence: int, *, timeout: float = 5.0
    ) -> StoredMessage | None:
        """The message of this sequence, read from the stream's leader; None if there is none."""
        ...

    async def replica_message(
        self, stream: str, sequence: int, *, timeout: float = 5.0
    ) -> StoredMessage | None:
        """The message of this sequence by direct get: any replica answers, which may lack it yet.

        None then. Only where direct gets are allowed; else `NoResponders`.
        """
        ...

    async def next_message(
        self, stream: str, subject: str, *, start: int, timeout: float = 5.0
    ) -> StoredMessage | None:
        """The first message of `subject` (wildcards allowed) from sequence `start` on, or None.

        Read from the stream's leader; also where no direct get is allowed, as in the queues.
        """
        ...

    async def read_batch(
        self,
        stream: str,
        subject: str,
        *,
        start: int,
        batch: int,
        start_time: int | None = None,
        timeout: float = 5.0,
    ) -> tuple[list[StoredMessage], int]:
        """Up to `batch` messages of `subject` (wildcards allowed) from sequence `start` on.

        With `start_time` (nanoseconds since 1970) from that time instead. In order; also says
        how many more there are. By direct get: any replica answers, so the end may be stale.
        """
        ...

    # consumers

    async def create_consumer(self, stream: str, config: dict[str, Any]) -> dict[str, Any]:
        """Create the consumer `config["name"]`, or confirm an equal one; returns its info."""
        ...

    async def delete_consumer(self, stream: str, name: str) -> bool:
        """Delete; False if there was none."""
        ...

    async def consumer_names(self, stream: str) -> list[str]:
        """The names of all consumers, sorted."""
        ...

    async def open_pull(
        self,
        stream: str,
        consumer: str,
        on_deliveries: Callable[[list[Delivery]], None],
        on_status: Callable[[PullStatus], None],
        on_confirmed: Callable[[int], None] | None = None,
        sieve: Sieve | None = None,
    ) -> Pull:
        """Open an inbox for pulls; the callbacks run in order of arrival and must not raise.

        Deliveries that came in one piece are handed over in one list, in order, never empty. With
        a `sieve` only those that it wants are, which may be none; it counts all that arrived
        before the list is handed over.
        """
        ...

    def acknowledge(self, reply: str, *, answer_to: str = "") -> None:
        """Acknowledge a delivery, at most once: a lost one leads to a redelivery.

        With `answer_to` (`Pull.answer_to`) the server answers when it is done with this and all
        that was acknowledged before; not to one that its consumer has not delivered, and 503 is a
        status if there is no consumer.
        """
        ...

    # administration, in the server's own JSON

    async def stream_info(self, name: str, *, subjects: str = "") -> dict[str, Any] | None:
        """`config`, `state`, `created`, … as the server gives them; None if there is none.

        With `subjects`, a filter, the state says how many messages each under it has, as of the
        same moment, in `subjects`; not there if there are none.
        """
        ...

    async def stream_names(self) -> list[str]:
        """The names of all streams, sorted."""
        ...

    async def stream_subjects(self, name: str, filter: str) -> dict[str, int]:
        """How many messages each subject under `filter` has; sorted by subject."""
        ...

    async def create_stream(self, config: dict[str, Any]) -> dict[str, Any]:
        """Create; returns its info. An existing one with another configuration is refused."""
        ...

    async def update_stream(self, config: dict[str, Any]) -> dict[str, Any]:
        """Replace the whole configuration: what is left out is reset."""
        ...

    async def purge_stream(self, name: str, subject: str) -> int:
        """Remove the messages of `subject`; returns how many."""
        ...
