"""What a sender or an asker is told of a command or query, and how it travels (core NATS)."""

from typing import Any, Final

import msgspec

from moonlet.core.codec import ENCODING_HEADER, Codec, Encoding, unpack
from moonlet.core.commit import Commit
from moonlet.core.fold import body_digest, plain_body

OWNER_QUERY: Final = "query"
OWNER_OUTCOME: Final = "outcome"
OWNER_CONTROL: Final = "control"


class Answer(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """The outcome of a command, or the answer of a query (`outcome` is then 'answered').

    `error` names the error class if it was not the agent that refused; `stream` and `sequence`
    say where the commit is stored. 'waiting' means: known, and not decided yet.
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
_MSGPACK: Final = {ENCODING_HEADER: "msgpack"}


def encode_answer(answer: Answer, encoding: Encoding) -> tuple[bytes, dict[str, str] | None]:
    """The message of an answer."""
    return _ANSWERS[encoding].encode(answer), _MSGPACK if encoding == "msgpack" else None


def decode_answer(data: bytes, headers: Any) -> Answer:
    """The answer of a message; raises `InvalidMessage`."""
    plain, encoding = unpack(data, headers.get(ENCODING_HEADER) if headers else None)
    return _ANSWERS[encoding].decode(plain)


def encode_question(question: Question, encoding: Encoding) -> tuple[bytes, dict[str, str] | None]:
    """The message of a question."""
    return _QUESTIONS[encoding].encode(question), _MSGPACK if encoding == "msgpack" else None


def decode_question(data: bytes, headers: Any) -> tuple[Question, Encoding]:
    """The question of a message, and its encoding; raises `InvalidMessage`."""
    plain, encoding = unpack(data, headers.get(ENCODING_HEADER) if headers else None)
    return _QUESTIONS[encoding].decode(plain), encoding


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
