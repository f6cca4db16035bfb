"""What clients, agents and owners say to each other: commands, questions, answers.

Commands are written to a bounded mailbox by clients, to the internal queue by agents and calls.
Questions and answers travel by core NATS.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec

from moonlet.core.codec import (
    COMPRESS_ABOVE,
    ENCODING_HEADER,
    MAX_COMMAND_PLAIN,
    MAX_DEPTH,
    Codec,
    Encoding,
    pack,
    unpack,
)
from moonlet.core.commit import Commit
from moonlet.core.envelope import Envelope
from moonlet.core.errors import LimitExceeded, MailboxFull, MoonletError, PayloadTooLarge
from moonlet.core.fold import body_digest, plain_body
from moonlet.core.ids import AgentId
from moonlet.core.protocol import PROTOCOL_HEADER, check_protocol, refuse_repeated_keys
from moonlet.streams.api import PubAck, ServerRefused
from moonlet.streams.bus import Bus
from moonlet.streams.codes import MAILBOX_FULL, is_full
from moonlet.streams.storing import MESSAGE_ID, is_stored, store, store_anyway
from moonlet.streams.subjects import Home
from moonlet.telemetry import get_logger

log = get_logger(__name__)

_CODECS: Final = {encoding: Codec[Envelope](Envelope, encoding) for encoding in ("json", "msgpack")}
_JSON_ENCODE: Final = _CODECS["json"].encode_known
_JSON_ENVELOPE: Final = msgspec.json.Decoder(Envelope).decode
"""For what can't be nested too deeply."""

RESULTS_MAX: Final = 64
"""Messages for an agent among which a call's result is looked for."""

HEADERS_SIZE: Final = 256
"""Bytes that the headers of a command take at most, their ids apart."""


def encode_envelope(
    envelope: Envelope, encoding: Encoding, limit: int
) -> tuple[bytes, dict[str, str]]:
    """The message of an envelope; raises `PayloadTooLarge` over `limit` bytes, headers counted."""
    plain = _CODECS[encoding].encode_known(envelope)
    if len(plain) > MAX_COMMAND_PLAIN:
        raise _too_large(envelope, len(plain), MAX_COMMAND_PLAIN, "uncompressed")
    payload, headers, size = plain, dict[str, str](), len(plain) + HEADERS_SIZE
    if encoding != "json" or size > COMPRESS_ABOVE:
        payload, header = pack(plain, encoding)
        headers = {ENCODING_HEADER: header} if header else {}
        size = len(payload) + HEADERS_SIZE
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
    encoding: Encoding
    if header is None and data.count(b"{") + data.count(b"[") <= MAX_DEPTH:
        encoding = "json"
        try:
            envelope = _JSON_ENVELOPE(data)
        except (msgspec.MsgspecError, ValueError):
            envelope = _CODECS["json"].decode(data)  # which says what is wrong
    else:
        plain, encoding = unpack(data, header, MAX_COMMAND_PLAIN)
        envelope = _CODECS[encoding].decode(plain)
        data = plain
    if encoding != "json" or _JSON_ENCODE(envelope) != data:
        refuse_repeated_keys(data, encoding)
    elif bytes(envelope.body).count(b":") > 1:  # else it has one key, if any
        refuse_repeated_keys(bytes(envelope.body), "json")
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
        """A client's command, to a mailbox's subject; `explain_refusal` explains a refusal.

        An acknowledgement as a duplicate is for `settle`.
        """
        bus = self._bus
        payload, headers = encode_envelope(envelope, bus.encoding, bus.command_limit)
        headers[MESSAGE_ID] = message_id(envelope)
        return bus._js.publish(subject, payload, headers=headers, timeout=timeout)

    async def settle(
        self, ack: PubAck, subject: str, envelope: Envelope, *, timeout: float
    ) -> None:
        """See to it that a command is stored which the server took for a duplicate."""
        bus = self._bus
        payload, headers = encode_envelope(envelope, bus.encoding, bus.command_limit)
        if not await is_stored(bus, ack, subject, payload, timeout=timeout):
            await store_anyway(bus, subject, payload, headers=headers, timeout=timeout)

    async def put_internal(
        self,
        agent: AgentId,
        envelope: Envelope,
        home: Home,
        encoding: Encoding,
        *,
        timeout: float,
    ) -> PubAck:
        """An agent's send or a call's result, its body in `encoding`."""
        subject = self._bus.subjects.internal(agent, envelope.lane, home)
        payload, headers = encode_envelope(envelope, encoding, self._bus.command_limit)
        id = message_id(envelope)
        return await store(self._bus, subject, payload, id=id, headers=headers, timeout=timeout)

    async def put_call(
        self,
        agent: AgentId,
        envelope: Envelope,
        home: Home,
        encoding: Encoding,
        *,
        timeout: float,
    ) -> None:
        """An agent's call, for a host that runs it; not one whose result waits for the agent."""
        bus, subject = self._bus, self._bus.subjects.call(agent)
        payload, headers = encode_envelope(envelope, encoding, bus.command_limit)
        known = {**headers, MESSAGE_ID: envelope.call}
        ack = await bus.publish(subject, payload, headers=known, timeout=timeout)
        if not ack.duplicate or await is_stored(bus, ack, subject, payload, timeout=timeout):
            return
        if not await self._result_waits(agent, envelope, home, timeout=timeout):
            await store_anyway(bus, subject, payload, headers=headers, timeout=timeout)

    async def _result_waits(
        self, agent: AgentId, call: Envelope, home: Home, *, timeout: float
    ) -> bool:
        """Whether a call's result is among the first that wait for its agent."""
        subject, start = self._bus.subjects.internal(agent, call.lane, home), 1
        stream = self._bus.topology.stream("internal")
        for _ in range(RESULTS_MAX):
            message = await self._bus._js.next_message(
                stream, subject, start=start, timeout=timeout
            )
            if message is None:
                return False
            start = message.sequence + 1
            try:
                header = (message.headers or {}).get(ENCODING_HEADER)
                if decode_envelope(message.data, header)[0].call == call.call:
                    return True
            except MoonletError:
                continue  # it is no result
        return False


def explain_refusal(error: ServerRefused, agent: AgentId, limit: int) -> Exception:
    """The error for a sender whose command the server refused."""
    if is_full(error) and MAILBOX_FULL not in error.description:
        return LimitExceeded(
            f"the server has no room for commands ({error.description}): nothing was stored; free"
            " its disk, or raise max_file_store of the server or max_file (max_storage) of the"
            " account, then send again"
        )
    if is_full(error):
        return MailboxFull(
            f"the mailbox of {agent} is full ({error.description}): wait and send again, or run"
            " more hosts",
            limit=limit,
        )
    return error


OWNER_QUERY: Final = "query"
OWNER_OUTCOME: Final = "outcome"
OWNER_CONTROL: Final = "control"


class Answer(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """The outcome of a command, or the answer of a query (`outcome` is then 'answered').

    `error` names the error class if it was not the agent that refused; `stream` and `sequence`
    say where the commit is stored. 'waiting' means: known, and not decided yet; with a sequence:
    decided there, and too large to be told: read it.
    """

    outcome: str
    id: str = ""
    reply: Any = None
    reason: str = ""
    error: str = ""
    stream: str = ""
    sequence: int = 0
    revision: int = 0


class Question(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What a client asks a partition's owner.

    A query has `name`, `version` and `body`, and the sequence that the answer must have seen. An
    outcome has the command's `id`, `sender`, `lane` and `number`, and of one without a number the
    digest of its name and body. Control has `name` as the verb.
    """

    agent: str
    id: str = ""
    name: str = ""
    version: int = 1
    body: msgspec.Raw = msgspec.Raw(b"null")
    at_least: int = 0
    sender: str = ""
    lane: str = "medium"
    number: int = 0
    body_digest: str = ""
    correlation_id: str = ""


_ANSWERS: Final = {e: Codec[Answer](Answer, e) for e in ("json", "msgpack")}
_QUESTIONS: Final = {e: Codec[Question](Question, e) for e in ("json", "msgpack")}
_JSON_ANSWER: Final = msgspec.json.Decoder(Answer).decode
_MSGPACK: Final = {ENCODING_HEADER: "msgpack"}


def encode_answer(answer: Answer, encoding: Encoding) -> tuple[bytes, dict[str, str] | None]:
    """The message of an answer."""
    return _ANSWERS[encoding].encode(answer), _MSGPACK if encoding == "msgpack" else None


def post_answer(bus: Bus, replies: Iterable[str], answer: Answer, encoding: Encoding) -> None:
    """Send an answer to whoever asks and may be answered (`Subjects.may_answer`), at most once.

    It can be lost on the way as well: they ask again, or read the journal.
    """
    payload, headers = encode_answer(answer, encoding)
    _post(bus, replies, payload, headers, lambda: answer)


def post_outcome(
    bus: Bus, replies: Iterable[str], commit: Commit[Any], stream: str, encoding: Encoding
) -> None:
    """The same for a commit that has just been stored: `answer_of` it."""
    payload = _ANSWERS[encoding].encode_known(answer_of(commit, stream))
    headers = _MSGPACK if encoding == "msgpack" else None
    _post(bus, replies, payload, headers, lambda: answer_of(commit, stream))


def _post(
    bus: Bus,
    replies: Iterable[str],
    payload: bytes,
    headers: dict[str, str] | None,
    answer: Callable[[], Answer],
) -> None:
    ours = bus.subjects.ours
    for reply in replies:
        if reply and not reply.startswith(ours):
            try:
                try:
                    bus._js.post(reply, payload, headers=headers)
                except PayloadTooLarge as error:
                    smaller, _ = encode_answer(_instead_of(answer(), error), "json")
                    bus._js.post(reply, smaller)
            except MoonletError as error:
                log.info("an answer was not sent", reply=reply, error=str(error))


def _instead_of(answer: Answer, error: PayloadTooLarge) -> Answer:
    """What is said where an answer is too large for a message: where it is, or that it is."""
    if answer.sequence and answer.outcome != "answered":
        return Answer(
            "waiting",
            answer.id,
            stream=answer.stream,
            sequence=answer.sequence,
            revision=answer.revision,
        )
    return Answer(
        "failed",
        answer.id,
        reason=f"the answer takes {error.value} bytes, over the server's limit of {error.limit} for"
        " one message: ask for less, or keep the data elsewhere and answer with a reference",
        error="PayloadTooLarge",
    )


def decode_answer(data: bytes, headers: Any) -> Answer:
    """The answer of a message; raises `InvalidMessage`."""
    if headers:
        check_protocol(headers.get(PROTOCOL_HEADER))
    elif data.count(b"{") + data.count(b"[") <= MAX_DEPTH:
        try:
            return _JSON_ANSWER(data)
        except (msgspec.MsgspecError, ValueError):
            pass  # what is wrong is said below
    plain, encoding = unpack(data, headers.get(ENCODING_HEADER) if headers else None)
    return _ANSWERS[encoding].decode(plain)


def encode_question(question: Question, encoding: Encoding) -> tuple[bytes, dict[str, str] | None]:
    """The message of a question."""
    return _QUESTIONS[encoding].encode(question), _MSGPACK if encoding == "msgpack" else None


def decode_question(data: bytes, headers: Any) -> tuple[Question, Encoding]:
    """The question of a message, and its encoding; raises `InvalidMessage`."""
    if headers:
        check_protocol(headers.get(PROTOCOL_HEADER))
    plain, encoding = unpack(data, headers.get(ENCODING_HEADER) if headers else None)
    question = _QUESTIONS[encoding].decode(plain)
    refuse_repeated_keys(plain, encoding)
    return question, encoding


def answer_of(commit: Commit[Any], stream: str) -> Answer:
    """What the sender of a committed command is told."""
    return Answer(
        commit.outcome,
        commit.command.id,
        commit.reply,
        commit.reason,
        commit.error,
        stream,
        commit.sequence,
        commit.revision,
    )


def same_command(commit: Commit[Any], digest: str) -> bool:
    """Whether a commit is that of the command with this `body_digest` ('' : not told)."""
    command = commit.command
    return not digest or digest == body_digest(command.name, plain_body(command.body))


def conflict_answer(id: str, agent: str) -> Answer:
    """What the sender of another command under a used id is told."""
    return Answer(
        "failed",
        id,
        reason=f"{agent}: the id {id} was used before, with another command: use a new id",
        error="Conflict",
    )
