"""The parked stream: commands and effects that could not be done, with cause and stack."""

import codecs
from typing import Any

import msgspec

from moonlet.core.codec import Codec
from moonlet.core.commit import Commit, Effect
from moonlet.core.errors import MoonletError
from moonlet.core.fold import call_id, plain_body
from moonlet.core.ids import AgentId
from moonlet.streams.bus import Bus
from moonlet.streams.reading import read_messages, stream_facts
from moonlet.streams.storing import store

STACK_HEADER = "Moonlet-Stack"

HEADER_MAX = 3_000
"""Characters of a cause or a stack that a header carries."""


class Parked(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is parked: the revision and sequence of the commit, and the effect if it is one.

    A parked command's body is in its commit; an effect's message is in `effect` and there too.
    """

    agent: str
    id: str
    name: str
    reason: str
    revision: int
    sequence: int
    effect: Effect[Any] | None = None


_CODEC = Codec[Parked](Parked, "json")


class ParkedStream:
    """The writer of the parked stream."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def park_commit(self, agent: AgentId, commit: Commit[Any], *, stack: str = "") -> None:
        """Note a parked command; twice within the server's duplicate window is one."""
        parked = Parked(
            commit.agent,
            commit.command.id,
            commit.command.name,
            commit.reason,
            commit.revision,
            commit.sequence,
        )
        await self._put(agent, parked, cause=commit.reason, stack=stack, attempts=1)

    async def park_effect(
        self, agent: AgentId, commit: Commit[Any], index: int, error: MoonletError, attempts: int
    ) -> None:
        """Note an effect that could not be delivered."""
        effect = commit.effects[index]
        id = call_id(commit.agent, commit.revision, index)
        name = effect.message.name if effect.message is not None else effect.kind
        reason = f"{type(error).__name__}: {error}"
        if effect.message is not None:
            body = plain_body(effect.message.body)
            message = msgspec.structs.replace(effect.message, body=body)
            effect = msgspec.structs.replace(effect, message=message)
        parked = Parked(
            commit.agent, id, name, reason, commit.revision, commit.sequence, effect=effect
        )
        await self._put(agent, parked, cause=reason, stack="", attempts=attempts)

    async def _put(
        self, agent: AgentId, parked: Parked, *, cause: str, stack: str, attempts: int
    ) -> None:
        headers = {
            "Moonlet-Cause": _one_line(cause),
            "Moonlet-Attempts": str(attempts),
        }
        if stack:
            headers[STACK_HEADER] = _its_end(stack)
        subject = self._bus.subjects.parked(agent)
        id = f"parked/{parked.agent}/{parked.revision}/{parked.id}"
        record = _CODEC.encode(parked)
        await store(self._bus, subject, record, id=id, headers=headers, timeout=5.0)


class ParkedMessage(msgspec.Struct, frozen=True):
    """One message of the parked stream, at `sequence`, stored at `time` (ns since 1970).

    `attempts` is how often it was tried; `stack` the handler's traceback, its end if it was long.
    """

    sequence: int
    time: int
    parked: Parked
    attempts: int
    stack: str


async def read_parked(bus: Bus, agent: AgentId | None = None) -> list[ParkedMessage]:
    """What is parked, of one agent or of all, the oldest first; foreign messages are left out.

    Raises `Unavailable`.
    """
    stream = bus.topology.stream("parked")
    if await stream_facts(bus, stream) is None:
        return []
    subject = bus.subjects.parked(agent) if agent else f"{bus.subjects.prefix}.parked.>"
    found: list[ParkedMessage] = []
    async for batch in read_messages(bus, stream, subject, wide=True):  # no direct gets
        for message in batch:
            try:
                parked = _CODEC.decode(message.data)
            except MoonletError:
                continue  # doctor tells
            headers = message.headers or {}
            attempts = headers.get("Moonlet-Attempts", "")
            found.append(
                ParkedMessage(
                    message.sequence,
                    message.time,
                    parked,
                    int(attempts) if attempts.isdigit() and len(attempts) < 10 else 1,
                    _in_lines(headers.get(STACK_HEADER, "")),
                )
            )
    return found


async def drop_parked(bus: Bus, sequence: int, *, timeout: float = 5.0) -> bool:
    """Take a message out of the parked stream; False if it was not there. Its commit stays.

    Raises `Unavailable`; then it may be gone or not.
    """
    stream = bus.topology.stream("parked")
    subject = f"$JS.API.STREAM.MSG.DELETE.{stream}"
    asked = msgspec.json.encode({"seq": sequence, "no_erase": True})
    answer = await bus.request(subject, asked, timeout=timeout)
    return bool(msgspec.json.decode(answer.data).get("success"))


class ParkedStacks:
    """The tracebacks of one agent's parked commands, read as far as they are asked for."""

    def __init__(self, bus: Bus, agent: AgentId) -> None:
        self._bus = bus
        self._agent = agent
        self._read = 0
        self._stacks: dict[int, str] = {}

    async def of(self, commit: Commit[Any]) -> str:
        """The traceback with which the commit's command was parked; '' if there is none."""
        if commit.outcome != "parked":
            return ""
        if commit.revision not in self._stacks:
            await self._read_on()
        return self._stacks.get(commit.revision, "")

    async def _read_on(self) -> None:
        bus, stream = self._bus, self._bus.topology.stream("parked")
        if await stream_facts(bus, stream) is None:
            return
        subject = bus.subjects.parked(self._agent)
        async for batch in read_messages(bus, stream, subject, start=self._read + 1, wide=True):
            for message in batch:
                self._read = message.sequence
                try:
                    parked = _CODEC.decode(message.data)
                except MoonletError:
                    continue  # foreign: doctor tells
                stack = (message.headers or {}).get(STACK_HEADER, "")
                if stack and parked.effect is None:
                    self._stacks[parked.revision] = _in_lines(stack)


def _its_end(stack: str) -> str:
    """The last lines of a traceback, where the mistake stands, for a header."""
    length = HEADER_MAX
    while len(line := ascii(stack[-length:])[1:-1]) > HEADER_MAX:
        length -= 100
    return line


def _in_lines(header: str) -> str:
    try:
        return codecs.decode(header, "unicode_escape")
    except ValueError:  # it was cut, or another's
        return header


def _one_line(text: str) -> str:
    """For a header: ASCII, no line breaks, bounded."""
    return ascii(text)[1:-1][:HEADER_MAX]
