"""Deciding a recorded command again, with what it was decided with, and comparing what comes out.

Bodies are compared as plain data: the order of an object's keys doesn't matter, nor that of what
the handler yielded as a set. An event that was stored at an older version is upcast first.
"""

from typing import Any

import msgspec

from moonlet.agents.deciding.decide import judge
from moonlet.agents.deciding.otherwise import first_otherwise
from moonlet.agents.definition import AgentType
from moonlet.core.behavior import Decision
from moonlet.core.codec import Encoding
from moonlet.core.commit import Commit, Effect, Event
from moonlet.core.effects import EFFECTS, Reply
from moonlet.core.envelope import Envelope
from moonlet.core.errors import InvalidMessage
from moonlet.core.schema import decode_plain


class Difference(msgspec.Struct, frozen=True):
    """What differs first, in words; `event` is the event's name where it is one."""

    message: str
    event: str = ""


class Again(msgspec.Struct, frozen=True):
    """What came of it. `mended`: it failed when it was recorded, which today it would not.

    `decision` is today's, if it differs and there is one.
    """

    difference: Difference | None = None
    decided: bool = False
    mended: bool = False
    decision: Decision[Any] | None = None


def decide_again(
    agent_type: AgentType[Any], state: Any, commit: Commit[msgspec.Raw], encoding: Encoding
) -> Again:
    """Decide the commit's command on `state`, the state before it, and compare.

    What the handler didn't decide is left alone: expired, refused before it ran, parked because it
    ended its process (it might again). Of one that raised it is only seen whether it still does.
    """
    if commit.outcome == "expired":
        deadline = commit.command.deadline
        if deadline and commit.wall_us > deadline:
            return Again()
        return Again(Difference("it expired, but had no deadline that had passed"))
    if commit.error or commit.repair is not None:
        return Again()
    failed = commit.outcome == "parked"
    if commit.command.name not in agent_type.behavior.commands:
        return Again() if failed else Again(Difference(_no_command(agent_type, commit)))
    yielded: list[Any] = []
    decision, readable = judge(
        agent_type,
        state,
        _envelope(commit),
        encoding,
        revision=commit.revision - 1,
        micros=commit.wall_us,
        yielded=yielded,
    )
    if failed:
        works = readable and decision.outcome != "parked"
        return Again(mended=works, decided=readable and not works)
    if not readable:
        why = f"its body can't be read: {decision.reason}"
        return Again(Difference(why), decision=decision)
    difference = _compare(agent_type, commit, decision, yielded, encoding)
    if difference is not None:
        return Again(difference, decision=decision)
    return Again(decided=True)


def _no_command(agent_type: AgentType[Any], commit: Commit[msgspec.Raw]) -> str:
    return f"agent type {agent_type.name} has no command {commit.command.name!r} any more"


def _envelope(commit: Commit[msgspec.Raw]) -> Envelope:
    """The command as it was delivered, as far as its decision hangs on it."""
    command = commit.command
    return Envelope(
        id=command.id,
        agent=commit.agent,
        name=command.name,
        body=command.body,
        version=command.version,
        sender=command.sender,
        correlation_id=command.correlation_id,
    )


def _compare(
    agent_type: AgentType[Any],
    commit: Commit[msgspec.Raw],
    decision: Decision[Any],
    yielded: list[Any],
    encoding: Encoding,
) -> Difference | None:
    if decision.outcome != commit.outcome:
        was = f"{commit.outcome}{_because(commit.reason)}"
        return Difference(f"it was {was}, and is {decision.outcome}{_because(decision.reason)}")
    if decision.reason != commit.reason:
        return Difference(f"the reason was {commit.reason!r}, and is {decision.reason!r}")
    replies = [item for item in yielded if type(item) is Reply]
    # Equal bytes are equal, and nearly all are; what is not may be so as plain data.
    if commit.events == decision.events and commit.effects == decision.effects:
        return _reply(commit.reply, decision.reply, replies, encoding)
    effects = [item for item in yielded if type(item) in EFFECTS]
    events = [item for item in yielded if type(item) not in (*EFFECTS, Reply)]
    return (
        _events(agent_type, commit.events, decision.events, events, encoding)
        or _effects(commit.effects, decision.effects, effects, encoding)
        or _reply(commit.reply, decision.reply, replies, encoding)
    )


def _because(reason: str) -> str:
    return f" ({reason})" if reason else ""


def _events(
    agent_type: AgentType[Any],
    recorded: tuple[Event[msgspec.Raw], ...],
    decided: tuple[Event[msgspec.Raw], ...],
    yielded: list[Any],
    encoding: Encoding,
) -> Difference | None:
    for index in range(max(len(recorded), len(decided))):
        number = f"event {index + 1}"
        if index >= len(decided):
            name = recorded[index].name
            return Difference(f"{number} was {name}, and there is none", name)
        if index >= len(recorded):
            name = decided[index].name
            return Difference(f"{number} was none, and is {name}", name)
        old, new = recorded[index], decided[index]
        if old.name != new.name:
            return Difference(f"{number} was {old.name}, and is {new.name}", old.name)
        try:
            body = _today(agent_type, old, new.version, encoding)
        except InvalidMessage as error:
            return Difference(f"{number} can't be read: {error}", old.name)
        path = first_otherwise(body, decode_plain(new.body, encoding), yielded[index])
        if path:
            return Difference(f"{number} differs at {path}", old.name)
    return None


def _today(
    agent_type: AgentType[Any], event: Event[msgspec.Raw], version: int, encoding: Encoding
) -> Any:
    """The plain body of a stored event, as today's version of its class has it."""
    if event.version == version:
        return decode_plain(event.body, encoding)
    message = agent_type.behavior.events[event.name].message
    typed = message.decode(event.body, event.version, encoding)
    return decode_plain(message.write(typed, encoding)[0], encoding)


def _effects(
    recorded: tuple[Effect[msgspec.Raw], ...],
    decided: tuple[Effect[msgspec.Raw], ...],
    yielded: list[Any],
    encoding: Encoding,
) -> Difference | None:
    if len(recorded) != len(decided):
        return Difference(f"{len(recorded)} effects were yielded, and now {len(decided)} are")
    for index, (old, new) in enumerate(zip(recorded, decided, strict=True)):
        made = {"body": _message_of(yielded[index])}
        path = first_otherwise(_plain(old, encoding), _plain(new, encoding), made)
        if path:
            return Difference(f"effect {index + 1} ({old.kind}) differs at {path}")
    return None


def _plain(effect: Effect[msgspec.Raw], encoding: Encoding) -> dict[str, Any]:
    message = effect.message
    return {
        "kind": effect.kind,
        "target": effect.target,
        "lane": effect.lane,
        "due": effect.due,
        "name": message.name if message is not None else "",
        "version": message.version if message is not None else 0,
        "body": decode_plain(message.body, encoding) if message is not None else None,
    }


def _message_of(effect: Any) -> Any:
    """What an effect carries."""
    for name in ("command", "body", "call"):
        if hasattr(effect, name):
            return getattr(effect, name)
    return None


def _reply(
    recorded: Any, decided: msgspec.Raw | None, yielded: list[Reply], encoding: Encoding
) -> Difference | None:
    now = None if decided is None else decode_plain(decided, encoding)
    path = first_otherwise(recorded, now, yielded[0].value if yielded else None)
    return Difference(f"the reply differs at {path}") if path else None
