"""Conversations: what caused a commit, what followed, and what the end of it waited for."""

from typing import Any, Final

from moonlet.core.commit import Commit
from moonlet.core.errors import Invalid
from moonlet.core.ids import AgentId
from moonlet.replay import (
    Leg,
    Lookup,
    commit_at,
    correlation_of,
    critical_path,
    parse_point,
    resolve,
    swimlanes,
    why,
)
from moonlet.web.reading import Parameters, SystemReader, cut, row_of

COMMITS_MAX: Final = 2_000
"""Commits of one conversation that are shown: the first ones, and the one asked about."""

ENDS: Final = {
    "uncommitted": "is not decided yet, or was called off",
    "not recorded": "is not in the journal, whatever the command says",
    "too many": "and more: too many to show",
}


async def causes(reader: SystemReader, asked: Parameters) -> dict[str, Any]:
    """A conversation by a commit of it or its id: commits, the chain of causes of the commit that
    was asked about, and the critical path with how long each step waited.
    """
    text = asked.text("point")
    command = reader.system.command
    async with reader.looking() as lookup:
        correlation, chosen = await _conversation(reader, text, lookup)
        commits = await lookup.of_correlation(correlation)
        if not commits:
            raise Invalid(f"no commit is of a conversation {text!r}: name one of its commits")
        chain = await why(lookup, chosen) if chosen is not None else []
        path = await critical_path(lookup, commits[0])
    last = chain[-1] if chain else None
    return {
        "correlation": correlation,
        "chosen": _name(chosen) if chosen is not None else "",
        "commits": [row_of(each) for each in commits[:COMMITS_MAX]],
        "more": max(0, len(commits) - COMMITS_MAX),
        "why": [row_of(step.commit) for step in chain],
        "missing": ENDS[last.missing] if last is not None and last.missing else "",
        "critical": [_leg(each) for each in path],
        "command": command("trace", text),
        "why_command": command("why", _name(chosen)) if chosen is not None else "",
    }


async def drawn(reader: SystemReader, asked: Parameters) -> str:
    """The swimlanes of a conversation as SVG, as `moonlet trace --svg` writes them."""
    async with reader.looking() as lookup:
        correlation, _ = await _conversation(reader, asked.text("point"), lookup)
        commits = await lookup.of_correlation(correlation)
    return swimlanes(commits[:COMMITS_MAX])


async def _conversation(
    reader: SystemReader, text: str, lookup: Lookup
) -> tuple[str, Commit[Any] | None]:
    said = parse_point(text)
    if said.kind == "id":
        return said.id, None
    point = await resolve(reader.source, said)
    chosen = await commit_at(reader.source, point)
    return correlation_of(chosen), chosen


def _leg(leg: Leg) -> dict[str, Any]:
    return {
        "point": _name(leg.commit),
        "name": cut(leg.commit.command.name),
        "waited": leg.waited_us,
        "sent": leg.sent_us,
        "queued": leg.queued_us,
        "committed": leg.committed_us,
    }


def _name(commit: Commit[Any]) -> str:
    return str(AgentId.parse(commit.agent)) + f"@{commit.revision}"
