"""Two records of what should be one run: where each agent's histories part, and by whose doing.

Ids, times and sequences of two runs always differ, and are no difference.
"""

from typing import Any

import msgspec

from moonlet.core.commit import Commit, Effect
from moonlet.core.ids import AgentId
from moonlet.replay.causes import cause_of
from moonlet.replay.changes.change import Change, changes
from moonlet.replay.sources import HistorySource, commits_of


class Divergence(msgspec.Struct, frozen=True):
    """The first revision at which an agent's two histories differ; a commit is None behind an end.

    `inherited`: the command came from an agent whose history had parted before, so look there.
    """

    agent: str
    revision: int
    left: Commit[Any] | None
    right: Commit[Any] | None
    changes: list[Change]
    inherited: str = ""


async def compare(left: HistorySource, right: HistorySource) -> list[Divergence]:
    """The first divergence of each agent that is in either, those that others inherit first.

    Raises as reading does.
    """
    agents = sorted({*await left.agents(), *await right.agents()})
    found: dict[str, Divergence] = {}
    for agent in agents:
        parted = await _first(left, right, agent)
        if parted is not None:
            found[str(agent)] = parted
    told: list[Divergence] = []
    for parted in found.values():
        origin = ""
        for commit in (parted.left, parted.right):
            cause = cause_of(commit) if commit is not None else None
            other = found.get(cause.agent) if cause is not None else None
            if cause is not None and other is not None and cause.revision >= other.revision:
                origin = cause.commit if cause.agent != parted.agent else origin
        told.append(msgspec.structs.replace(parted, inherited=origin))
    return sorted(told, key=lambda each: (bool(each.inherited), _time(each), each.agent))


def _time(parted: Divergence) -> int:
    return min(c.time.micros for c in (parted.left, parted.right) if c is not None)


async def _first(left: HistorySource, right: HistorySource, agent: AgentId) -> Divergence | None:
    ours = commits_of(left, agent)
    theirs = commits_of(right, agent)
    try:
        revision = 0
        while True:
            revision += 1
            mine = await anext(ours, None)
            other = await anext(theirs, None)
            if mine is None and other is None:
                return None
            differ = changes(said(mine), said(other))
            if differ:
                return Divergence(str(agent), revision, mine, other, differ)
    finally:
        await ours.aclose()
        await theirs.aclose()


def said(commit: Commit[Any] | None) -> Any:
    """What a commit says that another run of the same would say too."""
    if commit is None:
        return None
    command = commit.command
    return {
        "command": command.name,
        "body": command.body,
        "from": command.sender if "/" in command.sender else "outside",
        "outcome": commit.outcome,
        "reason": commit.reason,
        "events": [{"name": event.name, "body": event.body} for event in commit.events],
        "effects": [_effect(effect) for effect in commit.effects],
        "reply": commit.reply,
    }


def _effect(effect: Effect[Any]) -> dict[str, Any]:
    message = effect.message
    return {
        "kind": effect.kind,
        "target": effect.target,
        "lane": effect.lane,
        "name": message.name if message is not None else "",
        "body": message.body if message is not None else None,
    }
