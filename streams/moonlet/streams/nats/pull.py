"""Pulling from a consumer: requests out, deliveries and statuses in."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from moonlet.core.codec import ENCODING_HEADER
from moonlet.core.protocol import PROTOCOL_HEADER
from moonlet.streams.api import Delivery, PullStatus, Sieve
from moonlet.streams.native import NATIVE, NativeDeliveries
from moonlet.streams.nats.headers import decode_headers
from moonlet.streams.nats.sift import Sifter
from moonlet.streams.nats.wire import NatsWire

_ENCODING = ENCODING_HEADER.encode()
_PROTOCOL = PROTOCOL_HEADER.encode()


def decode_delivery(subject: bytes, reply: bytes, data: bytes, headers: bytes | None) -> Delivery:
    """A delivery; `reply` is `$JS.ACK.<stream>.<consumer>.<attempt>.<stream sequence>.
    <consumer sequence>.<time>.<pending>`, or has domain and account before the stream and
    perhaps a random token at the end (ADR-15).
    """
    tokens = reply.split(b".")
    if len(tokens) == 9:
        _, _, _, _, attempt, sequence, consumer_sequence, time, _ = tokens
    else:
        attempt, sequence, consumer_sequence, time = tokens[6:10]
    named = RawHeaders(headers) if headers else None
    return Delivery(
        subject.decode(),
        data,
        named,
        reply.decode(),
        int(sequence),
        int(consumer_sequence),
        int(attempt),
        int(time),
        named.get(ENCODING_HEADER) if headers and _ENCODING in headers and named else None,
        named.get(PROTOCOL_HEADER) if headers and _PROTOCOL in headers and named else None,
    )


class RawHeaders(Mapping[str, str]):
    """Headers as they came, decoded when one is asked for that seems to be there."""

    __slots__ = ("_decoded", "_raw")

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._decoded: dict[str, str] | None = None

    def _dict(self) -> dict[str, str]:
        if self._decoded is None:
            self._decoded = decode_headers(self._raw)
        return self._decoded

    def get(self, name: Any, default: Any = None) -> Any:
        """The value of a header, if it stands as nearly everyone writes it without decoding all."""
        raw = self._raw
        if self._decoded is None:
            before, bare = _LINES.get(name) or _line(name)
            at = raw.rfind(bare)
            if at < 0:
                return default
            end = at - 2 + len(before)
            if raw[at - 2 : end] == before:
                return raw[end : raw.find(b"\r\n", end)].decode("utf-8", "replace").strip()
        return self._dict().get(name, default)

    def __contains__(self, name: object) -> bool:
        return self.get(name) is not None

    def __getitem__(self, name: str) -> str:
        return self._dict()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._dict())

    def __bool__(self) -> bool:
        return True  # nobody sends an empty block, and to count them would decode all

    def __len__(self) -> int:
        return len(self._dict())

    def __repr__(self) -> str:
        return repr(self._dict())


_LINES: dict[str, tuple[bytes, bytes]] = {}


def _line(name: str) -> tuple[bytes, bytes]:
    """What stands before a header's value, and the name alone; the names asked for are few."""
    bare = name.encode()
    found = b"\r\n%b: " % bare, bare
    if len(_LINES) < 100:
        _LINES[name] = found
    return found


NATIVE_DELIVERIES: Final[NativeDeliveries | None] = (
    None if NATIVE.core is None else NATIVE.core.Deliveries(Delivery, RawHeaders, decode_delivery)
)
"""The Rust core's way, if there is one: what it leaves alone comes here."""


class PullCallbacks(NamedTuple):
    """Who hears what comes to a pull's inbox."""

    deliveries: Callable[[list[Delivery]], None]
    status: Callable[[PullStatus], None]
    confirmed: Callable[[int], None] | None


class NatsPull:
    """One inbox for one consumer. What arrives is bounded by what was requested."""

    def __init__(
        self, wire: NatsWire, stream: str, consumer: str, inbox: str, told: PullCallbacks
    ) -> None:
        self._wire = wire
        self._next = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"
        self._inbox = inbox
        self._told = told
        self._batch: list[Delivery] = []
        self.handler = self.take  # one object, by which the wire knows who holds back
        self._sifter: Sifter | None = None
        self.on_close: Callable[[], None] = lambda: None

    @property
    def next_subject(self) -> str:
        """Where requests go."""
        return self._next

    def request(self, batch: int, *, expires: float) -> None:
        """Ask for messages; raises `Disconnected`."""
        body = msgspec.json.encode({"batch": batch, "expires": int(expires * 1_000_000_000)})
        # The batch stands in the reply subject: a status that doesn't count what is missing
        # comes before the first message.
        head = f"PUB {self._next} {self._inbox}.{batch} {len(body)}\r\n".encode()
        self._wire.send(head + body + b"\r\n")

    def answer_to(self, question: int) -> str:
        """Where the answer to an acknowledgement goes."""
        return f"{self._inbox}.{_QUESTION}{question}"

    def sift(self, sieve: Sieve) -> Sifter:
        """Have only those deliveries handed over that the sieve wants: the way for the wire."""
        self._sifter = Sifter(sieve, decode_delivery, self._told.deliveries)
        return self._sifter

    def take_deliveries(self, deliveries: list[Delivery]) -> None:
        """As `take` for each of them, which nobody else's message stood between."""
        if self._batch:
            self._batch += deliveries
        else:
            self._batch = deliveries
            self._wire.hold_back(self.handler, self._hand_over)

    async def close(self) -> None:
        """Unsubscribe; twice is harmless."""
        self.on_close()

    def take(self, subject: bytes, reply: bytes, data: bytes, headers: bytes | None) -> None:
        """Handle what arrives at the inbox."""
        if reply.startswith(b"$JS.ACK."):
            batch = self._batch
            batch.append(decode_delivery(subject, reply, data, headers))
            if len(batch) == 1:
                self._wire.hold_back(self.handler, self._hand_over)
            return
        if self._batch:
            self._wire.hand_over()
        if self._sifter is not None:
            self._sifter.flush()  # a status tells what is missing of what was asked for
        token = subject.rpartition(b".")[2].decode()
        if headers is not None:
            self._take_status(token, decode_headers(headers))
        elif token.startswith(_QUESTION) and self._told.confirmed is not None:
            self._told.confirmed(int(token[1:]))

    def _hand_over(self) -> None:
        batch, self._batch = self._batch, []
        self._told.deliveries(batch)

    def _take_status(self, token: str, named: dict[str, str]) -> None:
        code = named.get("Status", "")
        if not code.isdigit() or code == "100":  # a heartbeat, which nobody asked for
            return
        requested = 0 if token.startswith(_QUESTION) else int(token)
        missing = int(named.get("Nats-Pending-Messages") or requested)
        description = named.get("Description") or _DESCRIPTIONS.get(code, "")
        self._told.status(PullStatus(int(code), description, missing))

    def deny(self) -> None:
        """The server denied a request."""
        self._told.status(PullStatus(403, f"Permission Denied: {self._next}", 0))


_DESCRIPTIONS = {"503": "No Responders"}
_QUESTION = "c"  # begins the last token of an acknowledgement's answer; a pull's is a number
