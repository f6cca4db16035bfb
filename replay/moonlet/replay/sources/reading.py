"""Reading one agent's history from any source: commits in order, the fold as of a revision."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, TypeVar

from moonlet.agents import AgentType
from moonlet.agents.histories import commits_in, fold_in
from moonlet.core.commit import Commit
from moonlet.core.errors import Corrupt, Undecodable
from moonlet.core.fold import Fold
from moonlet.core.ids import AgentId
from moonlet.replay.sources.source import HistorySource
from moonlet.streams import StoredMessage, decode_plain_commit

S = TypeVar("S")


async def messages_of(
    source: HistorySource, agent: AgentId, *, start: int = 1
) -> AsyncGenerator[StoredMessage, None]:
    """The stored messages of an agent's commits from sequence `start` on, in order.

    A record that a repair leaves out is among them. Raises `Unavailable`, `Corrupt`.
    """
    stream = source.topology.journal_of(agent.type)
    batches = source.messages(stream, source.subjects.journal(agent), start=start)
    async with aclosing(batches):
        async for batch in batches:
            for message in batch:
                yield message


async def commits_of(
    source: HistorySource, agent: AgentId, from_: int = 1, to: int | None = None
) -> AsyncGenerator[Commit[Any], None]:
    """Commits of revisions `from_` to `to`, inclusive, with bodies as plain data.

    Raises `Undecodable` and `Corrupt` for a record that makes no sense and that no repair leaves
    out, once all before it were given.
    """
    stream = source.topology.journal_of(agent.type)
    batches = source.messages(stream, source.subjects.journal(agent))
    commits = commits_in(batches, stream, lambda: source.skips(agent), from_, to)
    async with aclosing(commits):
        async for commit in commits:
            yield commit


async def find_command(source: HistorySource, agent: AgentId, id: str) -> Commit[Any] | None:
    """The commit of a command id in an agent's history; None if it has none."""
    commits = commits_of(source, agent)
    async with aclosing(commits):
        async for commit in commits:
            if commit.command.id == id:
                return commit
    return None


async def last_revision(source: HistorySource, agent: AgentId) -> int:
    """An agent's last revision, 0 if it has none: by its last commit alone, if that can be read.

    Else all are counted, each record being a revision, whether it makes sense or not.
    """
    stream = source.topology.journal_of(agent.type)
    message = await source.last(agent)
    if message is None:
        return 0
    try:
        return decode_plain_commit(stream, message).revision
    except (Undecodable, Corrupt):
        pass
    last = 0
    messages = messages_of(source, agent)
    async with aclosing(messages):
        async for message in messages:
            try:
                last = decode_plain_commit(stream, message).revision
            except (Undecodable, Corrupt):
                last += 1
    return last


async def fold_at(
    source: HistorySource, agent_type: AgentType[S], agent: AgentId, revision: int | None = None
) -> Fold[S]:
    """The state after `revision` (0 is the initial one), or after the last, from the first on.

    Raises `Invalid` for a revision that is not there, `Undecodable`, `Corrupt`.
    """
    stream = source.topology.journal_of(agent.type)
    batches = source.messages(stream, source.subjects.journal(agent))
    return await fold_in(
        batches, agent_type, stream, agent, lambda: source.skips(agent), revision=revision
    )
