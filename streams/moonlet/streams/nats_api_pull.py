"""Pulling from a consumer: requests out, deliveries and statuses in."""

from collections.abc import Callable

import msgspec

from moonlet.streams.api import Delivery, PullStatus
from moonlet.streams.nats_api_frames import RawHeaders, decode_headers
from moonlet.streams.nats_api_wire import Wire


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
    return Delivery(
        subject.decode(),
        data,
        RawHeaders(headers) if headers else None,
        reply.decode(),
        int(sequence),
        int(consumer_sequence),
        int(attempt),
        int(time),
    )


class NatsPull:
    """One inbox for one consumer. What arrives is bounded by what was requested."""

    def __init__(
        self,
        wire: Wire,
        stream: str,
        consumer: str,
        inbox: str,
        on_delivery: Callable[[Delivery], None],
        on_status: Callable[[PullStatus], None],
    ) -> None:
        self._wire = wire
        self._next = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"
        self._inbox = inbox
        self._on_delivery = on_delivery
        self._on_status = on_status
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

    async def close(self) -> None:
        """Unsubscribe; twice is harmless."""
        self.on_close()

    def take(self, subject: bytes, reply: bytes, data: bytes, headers: bytes | None) -> None:
        """Handle what arrives at the inbox."""
        if reply.startswith(b"$JS.ACK."):
            self._on_delivery(decode_delivery(subject, reply, data, headers))
            return
        if headers is None:
            return
        named = decode_headers(headers)
        code = named.get("Status", "")
        if not code.isdigit() or code == "100":  # a heartbeat, which nobody asked for
            return
        requested = subject.rpartition(b".")[2]
        missing = named.get("Nats-Pending-Messages") or requested.decode()
        description = named.get("Description") or _DESCRIPTIONS.get(code, "")
        self._on_status(PullStatus(int(code), description, int(missing)))

    def deny(self) -> None:
        """The server denied a request."""
        self._on_status(PullStatus(403, f"Permission Denied: {self._next}", 0))


_DESCRIPTIONS = {"503": "No Responders"}
