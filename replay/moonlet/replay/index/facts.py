"""What an index takes of a commit: all but its bodies, which are passed over."""

from collections.abc import Sequence
from typing import Annotated, Final, NamedTuple

import msgspec

from moonlet.core.codec import ENCODING_HEADER, unpack
from moonlet.core.digest import DIGEST_HEADER
from moonlet.core.errors import InvalidMessage, LimitExceeded
from moonlet.streams import NATIVE, Facts, StoredMessage

REASON_MAX: Final = 500
"""Characters that are kept of why a record can't be read."""

UNREADABLE: Final = "unreadable"
"""The outcome of one."""

_Number = Annotated[int, msgspec.Meta(ge=0, lt=2**62)]
"""What SQLite can hold too; more is no revision, and no time."""


class _Command(msgspec.Struct, gc=False):
    id: str
    name: str
    sender: str = ""
    correlation_id: str = ""


class _Named(msgspec.Struct, gc=False):
    name: str = ""
    kind: str = ""
    target: str = ""


class _Commit(msgspec.Struct, gc=False):
    revision: _Number
    outcome: str
    command: _Command
    time: tuple[_Number, int]
    reason: str = ""
    events: list[_Named] = []
    effects: list[_Named] = []


_JSON: Final = msgspec.json.Decoder(_Commit)
_PACKED: Final = msgspec.msgpack.Decoder(_Commit)


class Indexed(NamedTuple):
    """The facts of one message, its commit's digest, and with bodies its text."""

    facts: Facts
    digest: bytes
    text: str


def read_all(batch: Sequence[StoredMessage], bodies: bool) -> list[Indexed]:
    """What is indexed of each message; of one that makes no sense that it is there, and why."""
    core = NATIVE.core
    if core is None or bodies:
        return [_read(message, bodies) for message in batch]
    plain = [message.data if _encoding(message) is None else b"" for message in batch]
    found = zip(batch, core.commit_facts(plain), strict=True)
    return [_read(message, bodies, facts) for message, facts in found]


def facts_of(data: bytes, encoding: str) -> Facts:
    """The facts of a record's plain bytes; raises what msgspec raises."""
    commit = (_JSON if encoding == "json" else _PACKED).decode(data)
    command, events, effects = commit.command, commit.events, commit.effects
    return (
        commit.revision,
        commit.outcome,
        commit.time[0],
        command.id,
        command.name,
        command.sender,
        command.correlation_id,
        ",".join([each.name for each in events]) if events else None,
        ",".join([each.kind for each in effects]) if effects else None,
        commit.reason,
    )


def _encoding(message: StoredMessage) -> str | None:
    return message.headers.get(ENCODING_HEADER) if message.headers else None


def _read(message: StoredMessage, bodies: bool, facts: Facts | None = None) -> Indexed:
    headers, data, encoding = message.headers, message.data, "json"
    try:
        if facts is None:
            how = _encoding(message)
            if how is not None:
                data, encoding = unpack(data, how)
            facts = facts_of(data, encoding)
        digest = bytes.fromhex(headers.get(DIGEST_HEADER, "")) if headers else b""
    except (msgspec.MsgspecError, InvalidMessage, LimitExceeded, ValueError) as error:
        time = message.time // 1_000
        why = str(error)[:REASON_MAX]
        return Indexed((0, UNREADABLE, time, "", "", "", "", None, None, why), b"", "")
    text = data.decode(errors="replace") if bodies and encoding == "json" else ""
    return Indexed(facts, digest, text)
