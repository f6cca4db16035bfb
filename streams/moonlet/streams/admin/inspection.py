"""What an operator wants to know of a server that others write to as well. Changes nothing."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import msgspec

from moonlet.core.codec import ENCODING_HEADER
from moonlet.core.digest import DIGEST_HEADER
from moonlet.core.errors import InvalidId, MoonletError, PermissionDenied
from moonlet.core.ids import LANES, AgentId, check_name
from moonlet.core.memory import sent_by_agent
from moonlet.streams.api import NoResponders, ServerRefused, StoredMessage
from moonlet.streams.bus import Bus
from moonlet.streams.journal import decode_plain_commit
from moonlet.streams.queues import decode_envelope
from moonlet.streams.reading import with_record
from moonlet.streams.subjects import Home

SAMPLE: Final = 500
"""Messages at the end of each journal that are read."""

WAITING_SAMPLE: Final = 50
"""Waiting commands of each queue that are read; one request each."""

_NO_SUCH_STREAM: Final = "moonlet-doctor"


class Offset(NamedTuple):
    """How far the server's clock is ahead of ours, in seconds, give or take `error`."""

    seconds: float
    error: float


class Foreign(NamedTuple):
    """A message that is none of ours: where it is, and what is wrong with it."""

    stream: str
    sequence: int
    subject: str
    reason: str


async def clock_offset(bus: Bus, stream: str) -> Offset | None:
    """Compare the clocks by a question about `stream`; None if there is no such stream."""
    before = bus.clock.now_us()
    info = await bus._js.stream_info(stream)
    after = bus.clock.now_us()
    if info is None or "ts" not in info:
        return None
    server = datetime.fromisoformat(info["ts"]).astimezone(UTC).timestamp()
    return Offset(server - (before + after) / 2_000_000, (after - before) / 2_000_000)


async def may_publish(bus: Bus, subject: str) -> bool:
    """Whether the user may publish there. Stores nothing: it expects a stream that isn't."""
    headers = {"Nats-Expected-Stream": _NO_SUCH_STREAM}
    try:
        await bus.publish(subject, b"", headers=headers, timeout=5.0)
    except PermissionDenied:
        return False
    except (ServerRefused, NoResponders):
        pass
    return True


async def storage_used(bus: Bus) -> tuple[int, int]:
    """Bytes the account has stored, and its limit (-1: none)."""
    answer = await bus.request("$JS.API.INFO", b"", timeout=5.0)
    facts: dict[str, Any] = msgspec.json.decode(answer.data)
    return int(facts["storage"]), int(facts["limits"]["max_storage"])


async def foreign_subjects(bus: Bus, name: str, homes: Mapping[str, Home]) -> list[str]:
    """The subjects in stream `name` that stand for nothing of ours, sorted.

    `homes` are the registered agent types'; a subject of another type is foreign too.
    """
    found = await bus._js.stream_subjects(name, ">")
    return [subject for subject in found if not _is_ours(bus, subject, homes)]


def _is_ours(bus: Bus, subject: str, homes: Mapping[str, Home]) -> bool:
    subjects = bus.subjects
    tokens = subject.removeprefix(f"{subjects.prefix}.").split(".")
    match tokens:
        case ["pub" | "blob", *_]:
            return True
        case ["snap", "view", name, version, *leaf] if version.isdigit() and leaf:
            return _is_name(name)
    agent = subjects.agent(subject)
    home = homes.get(agent.type) if agent is not None else None
    if agent is None or home is None or not _is_name(agent.key):
        return False
    match tokens:
        case ["cmd", _, _, lane, *_] if lane in LANES:
            return subject == subjects.mailbox(agent, lane, home)
        case ["in", _, _, lane, *_] if lane in LANES:
            return subject == subjects.internal(agent, lane, home)
        case ["fire", *_]:
            return subject == subjects.fire(agent, home)
        case ["timer", _, _, name, revision]:
            return revision.isdigit() and _is_name(name)
    return tokens[0] in ("evt", "snap", "parked", "call")


def _is_name(text: str) -> bool:
    try:
        check_name(text, "name")
    except InvalidId:
        return False
    return True


async def foreign_commits(bus: Bus, stream: str) -> list[Foreign]:
    """Messages among the last of a journal that no host of ours wrote."""
    info = await bus._js.stream_info(stream)
    if info is None or not info["state"]["messages"]:
        return []
    start = max(info["state"]["first_seq"], info["state"]["last_seq"] - SAMPLE + 1)
    messages, _ = await bus._js.read_batch(stream, ">", start=start, batch=SAMPLE)
    found = []
    for message in messages:
        reason = await _commit_fault(bus, stream, message)
        if reason:
            found.append(Foreign(stream, message.sequence, message.subject, reason))
    return found


async def _commit_fault(bus: Bus, stream: str, message: StoredMessage) -> str:
    if DIGEST_HEADER not in (message.headers or {}):
        return "no digest stands beside it"
    agent = bus.subjects.journal_agent(message.subject)
    try:
        commit = decode_plain_commit(stream, await with_record(bus, stream, message))
    except MoonletError as error:
        return str(error)
    if agent is not None and commit.agent != str(agent):
        return f"it says that it is {commit.agent}'s"
    return ""


async def foreign_commands(bus: Bus, stream: str) -> list[Foreign]:
    """Messages among the first waiting ones of a queue that are no commands of ours."""
    info = await bus._js.stream_info(stream)
    if info is None or not info["state"]["messages"]:
        return []
    found = []
    first, last = info["state"]["first_seq"], info["state"]["last_seq"]
    for sequence in range(first, min(last, first + WAITING_SAMPLE - 1) + 1):
        message = await bus._js.message(stream, sequence)
        if message is None or ".call." in message.subject:
            continue
        reason = _command_fault(message, clients=".cmd." in message.subject)
        if reason:
            found.append(Foreign(stream, sequence, message.subject, reason))
    return found


def _command_fault(message: StoredMessage, *, clients: bool) -> str:
    try:
        envelope, _ = decode_envelope(message.data, (message.headers or {}).get(ENCODING_HEADER))
        AgentId.parse(envelope.agent)
        if clients and sent_by_agent(envelope.sender):
            return f"it says that {envelope.sender} sent it, which writes to another queue"
    except MoonletError as error:
        return str(error)
    return ""
