"""A client's commands on their way: numbered, encoded, sent until the outcome is known."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

import msgspec

from moonlet.agents.client.counters import Counter
from moonlet.agents.definition import AgentType
from moonlet.core.envelope import Envelope
from moonlet.core.errors import (
    InvalidMessage,
    InvalidSettings,
    Unavailable,
    Unknown,
    UnknownCommand,
)
from moonlet.core.ids import AgentId
from moonlet.core.schema import MessageType, encode_plain, is_message_class
from moonlet.streams import (
    Bus,
    Disconnected,
    Home,
    Mailboxes,
    NoResponders,
    ServerRefused,
    explain_refusal,
    is_full,
    is_unknown,
)

Timeout = float | timedelta

COUNTERS_MAX: Final = 100_000
"""Receivers and lanes that one session counts for; then a new session begins."""


class Plain(msgspec.Struct, frozen=True):
    """A message without its class: the schema's name and plain data, as the console sends it."""

    name: str
    body: Any
    version: int = 1


def seconds(timeout: Timeout) -> float:
    """A timeout in seconds; raises `InvalidSettings` unless it is positive and finite."""
    value = timeout.total_seconds() if isinstance(timeout, timedelta) else float(timeout)
    if not 0 < value < 1e9:
        raise InvalidSettings(f"timeout={timeout!r}: give a positive number of seconds")
    return value


class Outgoing:
    """The sender's side of mailboxes: one session, its numbers, and what is in flight."""

    def __init__(self, bus: Bus, types: Mapping[str, AgentType[Any]]) -> None:
        self._bus = bus
        self._types = types
        self._mailboxes = Mailboxes(bus)
        self._messages: dict[type, MessageType[Any]] = {}
        self._counters: dict[tuple[AgentId, str], Counter] = {}
        self.session = f"c-{bus.entropy.token()}"

    def encode(
        self, agent: AgentId, message: Any, *, query: bool = False
    ) -> tuple[str, int, bytes]:
        """Name, version and body of a message; raises `InvalidMessage`, `UnknownCommand`."""
        encoding = self._bus.encoding
        cls = type(message)
        if cls is Plain:
            name, version = message.name, message.version
            body = encode_plain(message.body, encoding)
        else:
            known = self._messages.get(cls)
            if known is None:
                if not is_message_class(cls):
                    raise InvalidMessage(
                        f"{message!r:.100} is no message: use a msgspec.Struct, a dataclass or a"
                        " pydantic model"
                    )
                known = self._messages[cls] = MessageType(cls)
            name, version, body = known.name, known.version, known.encode(message, encoding)
        self._check(agent, cls, name, version, body, query)
        return name, version, body

    def _check(
        self, agent: AgentId, cls: type, name: str, version: int, body: bytes, query: bool
    ) -> None:
        """Where the type is known here, tell the sender at once what its owner would say.

        A message of the very class that its handler takes was checked by being encoded.
        """
        agent_type = self._types.get(agent.type)
        if agent_type is None:
            return
        table = agent_type.queries if query else agent_type.behavior.commands
        handler = table.get(name)
        if handler is None:
            if query:
                known = ", ".join(sorted(table)) or "none"
                raise UnknownCommand(
                    f"agent type {agent.type} has no query {name!r}; it has: {known}"
                )
            raise UnknownCommand(agent_type.unknown_command(name))
        if handler.message.cls is not cls:
            handler.message.decode(body, version, self._bus.encoding)

    def counter(self, agent: AgentId, lane: str) -> Counter:
        """The numbers to this agent in this lane, in the session of now."""
        counter = self._counters.get((agent, lane))
        if counter is None:
            if len(self._counters) >= COUNTERS_MAX:
                # A new session counts from 1 again; what is in flight keeps its old sender.
                self.session = f"c-{self._bus.entropy.token()}"
                self._counters.clear()
            counter = self._counters[agent, lane] = Counter(self.session)
        return counter

    async def put(self, agent: AgentId, envelope: Envelope, home: Home, *, until: float) -> None:
        """Store the command, with retries under the same id and number, until monotonic `until`.

        Raises `MailboxFull`, `PayloadTooLarge`, `PermissionDenied`; `Unknown` when time is up,
        'no' if it was never sent, 'maybe' if a try had no answer.
        """
        clock = self._bus.clock
        stored = False
        attempt = 0
        while True:
            attempt += 1
            left = until - clock.monotonic()
            if left <= 0:
                raise Unknown(
                    f"no answer from {self._bus.description} for {envelope.name} to {agent}:"
                    " ask for its outcome with the same id",
                    stored="maybe" if stored else "no",
                    command_id=envelope.id,
                )
            try:
                await self._mailboxes.put(agent, envelope, home, timeout=min(left, 2.0))
                return
            except ServerRefused as error:
                if is_full(error) and not stored:
                    raise explain_refusal(error, agent, self._bus.topology.mailbox) from None
                if is_unknown(error):
                    stored = True
                elif error.code < 500:
                    raise
            except (Disconnected, NoResponders):
                pass
            except Unavailable:
                stored = True
            await self._bus.backoff(attempt)
