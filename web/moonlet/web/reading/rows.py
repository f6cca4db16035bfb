"""Commits as rows: what a list shows of each, its texts cut to what a line can hold."""

from typing import Any, Final

import msgspec

from moonlet.core.commit import Commit
from moonlet.replay import cause_of, correlation_of

BODY_MAX: Final = 240
"""Characters of a body in a row."""

TEXT_MAX: Final = 500
"""Characters of any other text in a row."""


class CommitRow(msgspec.Struct, frozen=True):
    """One commit in a list; `micros` since 1970, `cause` the point of the commit that caused it."""

    agent: str
    revision: int
    micros: int
    outcome: str
    name: str
    body: str
    reason: str
    sender: str
    events: list[str]
    effects: list[str]
    correlation: str
    cause: str
    how: str


def row_of(commit: Commit[Any]) -> CommitRow:
    """The row of a commit that can be read."""
    cause = cause_of(commit)
    return CommitRow(
        commit.agent,
        commit.revision,
        commit.wall_us,
        commit.outcome,
        cut(commit.command.name),
        brief(commit.command.body),
        cut(commit.reason or ""),
        cut(commit.command.sender),
        [cut(event.name, 80) for event in commit.events[:20]],
        [cut(_effect(effect), 120) for effect in commit.effects[:20]],
        correlation_of(commit),
        cause.commit if cause is not None else "",
        cause.kind if cause is not None else "",
    )


def unreadable(agent: str, revision: int, error: Exception) -> CommitRow:
    """The row of a revision whose record makes no sense."""
    told = cut(str(error))
    return CommitRow(agent, revision, 0, "unreadable", "", "", told, "", [], [], "", "", "")


def brief(value: Any, most: int = BODY_MAX) -> str:
    """Plain data as JSON in one line, cut."""
    try:
        return cut(msgspec.json.encode(value).decode(), most)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        return cut(f"can't be shown: {error}", most)


def cut(text: str, most: int = TEXT_MAX) -> str:
    """The text, or its beginning and how long it is."""
    return text if len(text) <= most else f"{text[:most]}… ({len(text):,} characters)"


def _effect(effect: Any) -> str:
    name = effect.message.name if effect.message is not None else ""
    if effect.kind == "perform":
        return f"call {name}"
    kind = {"schedule": "timer", "cancel": "cancel"}.get(effect.kind, effect.kind)
    return f"{kind} {effect.target} {name}".rstrip()
