"""What a packet is about, in words that don't change when another packet is taken away.

Reply subjects and consumers' names carry counters; a key names the subject of the request, the
agent, and what tells tries apart.
"""

from typing import Final

from moonlet.simulations.jetstream.network import Packet
from moonlet.streams.api import Headers

REQUEST: Final = ("drop_request", "duplicate_request", "delay_request")
CALL: Final = ("drop_request", "delay_request")
ACK: Final = ("lose_ack",)
REPLY: Final = ("drop_reply", "delay_reply", "reorder")
DELIVERY: Final = ("drop_delivery", "delay_delivery")
NOTHING: Final[tuple[str, ...]] = ()

CALLS_KEPT: Final = 1_024
BODY_SHOWN: Final = 100

_API: Final = "$JS.API."
_NEXT: Final = "$JS.API.CONSUMER.MSG.NEXT."
_ACK: Final = "$JS.ACK."
_EXPECTED: Final = "Nats-Expected-Last-Subject-Sequence"


class Letters:
    """The keys of one connection's packets. It remembers what was asked, to name answers."""

    def __init__(self, prefix: str) -> None:
        self._prefix = f"{prefix}."
        self._asked: dict[str, str] = {}
        self._calls: dict[tuple[str, bytes], str] = {}

    def key(self, packet: Packet) -> tuple[str, tuple[str, ...]]:
        """What the packet is about, and the kinds of faults that may hit it."""
        message = packet.message
        if message is None:
            return packet.kind, NOTHING
        if not packet.to_server:
            return self._incoming(message.subject, message.reply, message.headers)
        subject = message.subject
        if subject.startswith(_ACK):
            tokens = subject.split(".")
            return f"ack {tokens[2]} {tokens[5]}", ACK
        kinds: tuple[str, ...] = CALL
        if subject.startswith(_API):
            known = self._calls.get((subject, message.data))
            if known is None:
                known = self._call(subject, message.data)
            key = known
        elif subject.startswith("_INBOX."):
            return f"answer to {subject.split('.')[1]}", REQUEST
        else:
            key, kinds = self._published(subject, message.headers), REQUEST
        if message.reply:
            self._asked[message.reply] = key
        return key, kinds

    def _call(self, subject: str, data: bytes) -> str:
        if len(self._calls) >= CALLS_KEPT:
            self._calls.clear()
        if subject.startswith(_NEXT):
            tokens = subject.split(".")
            key = f"pull {tokens[5]} {_without_revision(tokens[6])}"
        else:
            tokens = subject[len(_API) :].split(".")
            key = f"api {'.'.join(_without_revision(token) for token in tokens[:4])}"
            if 0 < len(data) < BODY_SHOWN:
                key += f" {data.decode()}"
        self._calls[subject, data] = key
        return key

    def _published(self, subject: str, headers: Headers | None) -> str:
        tokens = subject.removeprefix(self._prefix).split(".")
        family = tokens[0]
        if family in ("cmd", "in") and len(tokens) == 5:
            key = f"{family} {tokens[1]}/{tokens[4]} {tokens[3]}"
        elif family in ("evt", "call", "snap", "parked") and len(tokens) == 3:
            key = f"{family} {tokens[1]}/{tokens[2]}"
        elif family == "timer" and len(tokens) == 5:
            key = f"timer {tokens[1]}/{tokens[2]} {tokens[3]}"
        else:
            key = ".".join(tokens)
        if headers:
            expected = headers.get(_EXPECTED)
            if expected is not None:
                key += f" after {expected}"
            batch = headers.get("Nats-Batch-Sequence")
            if batch is not None:
                key += f" batch {batch}"
        return key

    def _incoming(
        self, subject: str, reply: str, headers: Headers | None
    ) -> tuple[str, tuple[str, ...]]:
        if reply.startswith(_ACK):
            tokens = reply.split(".")
            return f"delivery {tokens[2]} {tokens[5]}", DELIVERY
        asked = self._asked.get(subject)
        if asked is None:
            return f"to {subject.removeprefix(self._prefix).split('.')[0]}", REPLY
        last = not asked.startswith(("pull", "api DIRECT"))
        if last or (not asked.startswith("pull") and headers and "Status" in headers):
            del self._asked[subject]
        return f"re {asked}", REPLY


def _without_revision(name: str) -> str:
    """A consumer's name without the revision of its lease."""
    head, dash, tail = name.rpartition("-r")
    return head if dash and tail.isdigit() else name
