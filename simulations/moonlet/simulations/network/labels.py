"""What a packet is about, in words that don't change when another packet is taken away.

Reply subjects and consumers' names carry counters; a key names the subject of the request, the
agent, and what tells tries apart.
"""

from functools import lru_cache
from typing import Final

from moonlet.simulations.jetstream import Packet
from moonlet.streams.api import Headers

REQUEST: Final = ("drop_request", "duplicate_request", "delay_request")
CALL: Final = ("drop_request", "delay_request")
ACK: Final = ("lose_ack",)
REPLY: Final = ("drop_reply", "delay_reply", "reorder")
DELIVERY: Final = ("drop_delivery", "delay_delivery")
NOTHING: Final[tuple[str, ...]] = ()

KEYS_KEPT: Final = 4_096
"""Keys that are remembered: worlds of one scenario ask the same again."""

BODY_SHOWN: Final = 100

_API: Final = "$JS.API."
_NEXT: Final = "$JS.API.CONSUMER.MSG.NEXT."
_ACK: Final = "$JS.ACK."
_EXPECTED: Final = "Nats-Expected-Last-Subject-Sequence"


class PacketLabels:
    """The keys of one connection's packets. It remembers what was asked, to name answers."""

    def __init__(self, prefix: str) -> None:
        self._prefix = f"{prefix}."
        self._asked: dict[str, str] = {}

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
            key = f"ack {tokens[2]} {tokens[5]}"
            if message.reply:
                self._asked[message.reply] = key
            return key, ACK
        kinds: tuple[str, ...] = CALL
        if subject.startswith(_API):
            data = message.data
            key = _call(subject, data if len(data) < BODY_SHOWN else b"")
        elif subject.startswith("_INBOX."):
            return f"answer to {subject.split('.')[1]}", REQUEST
        else:
            key, kinds = _published(subject.removeprefix(self._prefix)), REQUEST
            headers = message.headers
            if headers:
                if (expected := headers.get(_EXPECTED)) is not None:
                    key += f" after {expected}"
                if (batch := headers.get("Nats-Batch-Sequence")) is not None:
                    key += f" batch {batch}"
        if message.reply:
            self._asked[message.reply] = key
        return key, kinds

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


@lru_cache(KEYS_KEPT)
def _call(subject: str, data: bytes) -> str:
    """The key of a request to the API; `data` is its body if that is short."""
    if subject.startswith(_NEXT):
        tokens = subject.split(".")
        return f"pull {tokens[5]} {_without_revision(tokens[6])}"
    tokens = subject[len(_API) :].split(".")
    key = f"api {'.'.join(_without_revision(token) for token in tokens[:4])}"
    if data:
        key += f" {data.decode()}"
    return key


@lru_cache(KEYS_KEPT)
def _published(subject: str) -> str:
    """The key of what is published to a subject, given without its prefix."""
    tokens = subject.split(".")
    family = tokens[0]
    if family in ("cmd", "in") and len(tokens) == 5:
        return f"{family} {tokens[1]}/{tokens[4]} {tokens[3]}"
    if family in ("cmd", "in") and len(tokens) == 6:
        return f"{family} {tokens[4]}/{tokens[5]} {tokens[3]}"
    if family in ("evt", "call", "snap", "parked") and len(tokens) == 3:
        return f"{family} {tokens[1]}/{tokens[2]}"
    if family == "snap" and len(tokens) > 3 and tokens[3] in ("out", "past"):
        return f"snap {tokens[1]}/{tokens[2]} {tokens[3]}"
    if family == "timer" and len(tokens) == 5:
        return f"timer {tokens[1]}/{tokens[2]} {tokens[3]}"
    return subject


def _without_revision(name: str) -> str:
    """A consumer's name without the revision of its lease."""
    head, dash, tail = name.rpartition("-r")
    return head if dash and tail.isdigit() else name
