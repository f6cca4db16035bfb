"""`given(account).events(…).when(command).then(events=…, reply=…)`: test handlers without a server.

Every message goes through its codec, as it would on its way to the journal and back.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

import msgspec

from moonlet.agents.agent_type import AgentType
from moonlet.agents.context import Context
from moonlet.core.behavior import Decision
from moonlet.core.codec import Encoding
from moonlet.core.effects import Cancel, Perform, Publish, Schedule, Send
from moonlet.core.errors import InvalidMessage, UnknownCommand
from moonlet.core.hlc import to_micros
from moonlet.core.ids import AgentId
from moonlet.core.schema import MessageType, decode_plain, is_message_class

S = TypeVar("S")

ENCODINGS: tuple[Encoding, ...] = ("json", "msgpack")
_NOTHING: Any = object()


class Given(Generic[S]):
    """An agent's history so far; immutable, so that a base can be shared by tests."""

    def __init__(self, agent_type: AgentType[S], state: S, history: tuple[Any, ...] = ()) -> None:
        self._type = agent_type
        self._state = state
        self._history = history

    def state(self, state: S) -> "Given[S]":
        """Start from this state instead of the initial one."""
        return Given(self._type, state)

    def events(self, *events: Any) -> "Given[S]":
        """Fold these typed events."""
        state = self._state
        behavior = self._type.behavior
        for event in events:
            name = MessageType(type(event)).name
            if name not in behavior.events:
                raise AssertionError(f"agent type {self._type.name} has no on_event for {name}")
            state = behavior.evolve(state, _through_codecs(behavior.events[name].message, event))
        return Given(self._type, state, (*self._history, *events))

    def when(
        self,
        command: Any,
        *,
        agent: str | None = None,
        sender: str = "tester",
        now: datetime = datetime(2026, 1, 1, tzinfo=UTC),
    ) -> "Outcome[S]":
        """Decide a command as the agent `agent` (default: `<type>/test`) would at `now`."""
        name = MessageType(type(command)).name
        handler = self._type.behavior.commands.get(name)
        if handler is None:
            raise UnknownCommand(self._type.unknown_command(name))
        command = _through_codecs(handler.message, command)
        self_id = str(AgentId.parse(agent or f"{self._type.name}/test"))
        decisions = [
            self._type.behavior.decide(
                self._state,
                handler,
                command,
                Context(
                    self_id=self_id,
                    revision=len(self._history),
                    now_us=to_micros(now),
                    command_id="test-1",
                    sender=sender,
                    correlation_id="test-1",
                ),
                encoding,
            )
            for encoding in ENCODINGS
        ]
        return Outcome(self._type, decisions)


class Outcome(Generic[S]):
    """What came of one command."""

    def __init__(self, agent_type: AgentType[S], decisions: Sequence[Decision[S]]) -> None:
        self._type = agent_type
        self._decisions = decisions

    @property
    def state(self) -> S:
        """The state after the command's events."""
        return self._decisions[0].state

    @property
    def events(self) -> list[Any]:
        """The typed events, in order."""
        events = self._type.behavior.events
        return [
            events[event.name].message.decode(bytes(event.body), event.version, "json")
            for event in self._decisions[0].events
        ]

    @property
    def reply(self) -> Any:
        """The reply as plain data; None if there was none."""
        raw = self._decisions[0].reply
        return None if raw is None else decode_plain(bytes(raw), "json")

    def then(
        self,
        *,
        events: Sequence[Any] = _NOTHING,
        reply: Any = _NOTHING,
        rejected: str | None = None,
        effects: Sequence[Any] = _NOTHING,
        state: Any = _NOTHING,
    ) -> "Outcome[S]":
        """Assert what is named; `effects` are the yields other than events and the reply.

        Without `rejected` the command must have been accepted; `rejected` is the exact reason.
        """
        for decision in self._decisions:
            outcome = "accepted" if rejected is None else "rejected"
            assert decision.outcome == outcome, (
                f"expected {outcome}, got {decision.outcome}: {decision.reason}\n{decision.stack}"
            )
            if rejected is not None:
                assert decision.reason == rejected, f"{decision.reason!r} != {rejected!r}"
        if events is not _NOTHING:
            assert self.events == list(events), f"events {self.events} != {list(events)}"
        if reply is not _NOTHING:
            expected = msgspec.to_builtins(reply)
            assert self.reply == expected, f"reply {self.reply!r} != {expected!r}"
        if effects is not _NOTHING:
            assert self._effects() == [_expected(effect) for effect in effects], (
                f"effects {self._effects()} != {[_expected(effect) for effect in effects]}"
            )
        if state is not _NOTHING:
            assert self.state == state, f"state {self.state!r} != {state!r}"
        return self

    def _effects(self) -> list[tuple[str, str, str, Any]]:
        return [
            (
                effect.kind,
                effect.target,
                effect.message.name if effect.message else "",
                decode_plain(bytes(effect.message.body), "json") if effect.message else None,
            )
            for effect in self._decisions[0].effects
        ]


def given(agent_type: AgentType[S]) -> Given[S]:
    """Start a test of an agent type, which is checked, with its initial state."""
    agent_type.check()
    return Given(agent_type, agent_type.behavior.initial())


def _through_codecs(message: MessageType[Any], value: Any) -> Any:
    settled = value
    for encoding in ENCODINGS:
        body, settled = message.settle(value, encoding)
        if message.settle(settled, encoding)[0] != body:
            raise InvalidMessage(f"{message.name} changes when it is stored and read again")
    return settled


def _expected(effect: Any) -> tuple[str, str, str, Any]:
    match effect:
        case Send(agent=agent, command=command):
            return ("send", agent, *_named(command))
        case Publish(topic=topic, body=body):
            return ("publish", topic, *_named(body))
        case Schedule(command=command, name=name):
            return ("schedule", name, *_named(command))
        case Cancel(name=name):
            return ("cancel", name, "", None)
        case Perform(call=call):
            return ("perform", "", *_named(call))
    raise AssertionError(f"{effect!r} is no effect")


def _named(message: Any) -> tuple[str, Any]:
    if not is_message_class(type(message)):
        return "", msgspec.to_builtins(message)
    known = MessageType(type(message))
    return known.name, decode_plain(known.encode(message, "json"), "json")
