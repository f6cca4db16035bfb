"""Writing commands: clients to a bounded mailbox, agents and calls to the internal queue."""

import asyncio
from typing import Final

import msgspec

from moonlet.core.codec import (
    ENCODING_HEADER,
    MAX_COMMAND_PLAIN,
    Codec,
    Encoding,
    pack,
    unpack,
)
from moonlet.core.envelope import Envelope
from moonlet.core.errors import MailboxFull, PayloadTooLarge
from moonlet.core.ids import AgentId
from moonlet.streams.api import PubAck, ServerRefused
from moonlet.streams.bus import Bus
from moonlet.streams.codes import is_full
from moonlet.streams.subjects import Home

_CODECS: Final = {encoding: Codec[Envelope](Envelope, encoding) for encoding in ("json", "msgpack")}

MESSAGE_ID: Final = "Nats-Msg-Id"


def encode_envelope(
    envelope: Envelope, encoding: Encoding, limit: int
) -> tuple[bytes, dict[str, str]]:
    """The message of an envelope; raises `PayloadTooLarge` over `limit` bytes, headers counted."""
    plain = _CODECS[encoding].encode(envelope)
    if len(plain) > MAX_COMMAND_PLAIN:
        raise _too_large(envelope, len(plain), MAX_COMMAND_PLAIN, "uncompressed")
    payload, header = pack(plain, encoding)
    headers = {ENCODING_HEADER: header} if header else {}
    size = len(payload) + sum(len(k) + len(v) + 4 for k, v in headers.items()) + 200
    if size > limit:
        why = "the server's payload limit less what a commit adds"
        raise _too_large(envelope, size, limit, why)
    return payload, headers


def _too_large(envelope: Envelope, size: int, limit: int, why: str) -> PayloadTooLarge:
    return PayloadTooLarge(
        f"{envelope.name} to {envelope.agent} takes {size} bytes, over the limit of {limit}"
        f" ({why}): store the data elsewhere and send a reference",
        limit=limit,
        value=size,
    )


def decode_envelope(data: bytes, header: str | None) -> tuple[Envelope, Encoding]:
    """The envelope of a message; raises `InvalidMessage`, `PayloadTooLarge`."""
    plain, encoding = unpack(data, header, MAX_COMMAND_PLAIN)
    envelope = _CODECS[encoding].decode(plain)
    if envelope.number and not (envelope.sender or envelope.timer or envelope.call):
        # Else all foreign clients that number their commands, but have no name, would be one.
        envelope = msgspec.structs.replace(envelope, number=0)
    return envelope, encoding


def message_id(envelope: Envelope) -> str:
    """What the server's duplicate window knows the command by; only an optimisation."""
    if envelope.number:
        return f"{envelope.agent}/{envelope.sender}/{envelope.lane}/{envelope.number}"
    return f"{envelope.agent}/{envelope.id}"


class Mailboxes:
    """The writer of mailboxes and of the internal queue."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    def put(self, subject: str, envelope: Envelope, *, timeout: float) -> "asyncio.Future[PubAck]":
        """A client's command, to a mailbox's subject; `explain_refusal` explains a refusal."""
        return self._publish(subject, envelope, self._bus.encoding, timeout)

    def put_internal(
        self,
        agent: AgentId,
        envelope: Envelope,
        home: Home,
        encoding: Encoding,
        *,
        timeout: float,
    ) -> "asyncio.Future[PubAck]":
        """An agent's send or a call's result, its body in `encoding`."""
        subject = self._bus.subjects.internal(agent, envelope.lane, home)
        return self._publish(subject, envelope, encoding, timeout)

    def _publish(
        self, subject: str, envelope: Envelope, encoding: Encoding, timeout: float
    ) -> "asyncio.Future[PubAck]":
        payload, headers = encode_envelope(envelope, encoding, self._bus.command_limit)
        headers[MESSAGE_ID] = message_id(envelope)
        return self._bus.publish(subject, payload, headers=headers, timeout=timeout)


def explain_refusal(error: ServerRefused, agent: AgentId, limit: int) -> Exception:
    """The error for a sender whose command the server refused."""
    if is_full(error):
        return MailboxFull(
            f"the mailbox of {agent} is full ({error.description}): wait and send again, or run"
            " more hosts",
            limit=limit,
        )
    return error
