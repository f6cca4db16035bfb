"""What a commit's effects cause: the command each becomes, and which of them are to go out."""

from typing import Any

from moonlet.core.commit import Commit
from moonlet.core.envelope import Envelope
from moonlet.core.fold import Fold, call_id, effect_number
from moonlet.telemetry.spans import passed_on


def caused_envelope(
    commit: Commit[Any],
    index: int,
    *,
    agent: str,
    lane: Any,
    timer: str = "",
    call: str = "",
) -> Envelope:
    """The command that effect `index` of `commit` causes; equal at every dispatch."""
    message = commit.effects[index].message
    assert message is not None
    command = commit.command
    return Envelope(
        id=call_id(commit.agent, commit.revision, index),
        agent=agent,
        name=message.name,
        body=message.body,
        version=message.version,
        lane=lane,
        sender=commit.agent,
        number=commit.revision if timer else effect_number(commit.revision, index, commit.epoch),
        correlation_id=command.correlation_id or command.id,
        causation_id=command.id,
        traceparent=passed_on(
            command.traceparent,
            command.id,
            commit.agent,
            commit.revision,
            timer=bool(command.timer),
        )
        if command.traceparent
        else "",
        timer=timer,
        call=call,
    )


def facts_of(commit: Commit[Any]) -> dict[str, Any]:
    """What a line about a commit says of it: by that it is found again."""
    command = commit.command
    return {
        "agent": commit.agent,
        "revision": commit.revision,
        "command": command.id,
        "correlation": command.correlation_id or command.id,
        "name": command.name,
    }


def indexes_to_dispatch(commit: Commit[Any]) -> list[int]:
    """All effects of a commit, and -1 if it is to be parked."""
    indexes = list(range(len(commit.effects)))
    if commit.outcome == "parked":
        indexes.append(-1)
    return indexes


def open_indexes(fold: Fold[Any], commit: Commit[Any]) -> list[int]:
    """What of a commit is to be dispatched again: closed calls and timers are left alone."""
    indexes: list[int] = []
    for index in indexes_to_dispatch(commit):
        effect = commit.effects[index] if index >= 0 else None
        if effect is not None and effect.kind == "perform":
            open_call = any(
                where.revision == commit.revision and where.index == index
                for where in fold.calls.values()
            )
            if not open_call:
                continue
        if effect is not None and effect.kind == "schedule":
            timer = fold.timers.get(effect.target)
            if timer is None or timer.revision != commit.revision:
                continue
        indexes.append(index)
    return indexes
