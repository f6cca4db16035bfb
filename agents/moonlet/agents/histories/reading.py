"""Reading what agents have done: commits in order, states as of any revision or time."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from datetime import datetime
from typing import Any, TypeVar

from moonlet.agents.definition import AgentType
from moonlet.agents.histories.records import SkipsOf, commit_in, commits_in, fold_in
from moonlet.core.commit import Commit
from moonlet.core.errors import Invalid, Unavailable
from moonlet.core.fold import Fold
from moonlet.core.hlc import to_micros
from moonlet.core.ids import AgentId
from moonlet.streams import (
    Bus,
    Journal,
    NoResponders,
    StoredMessage,
    StreamGone,
    read_messages,
    skips_of,
    stream_facts,
)

S = TypeVar("S")


async def read_commits(
    bus: Bus, agent: AgentId, from_: int, to: int | None, follow: bool, at_least: int = 0
) -> AsyncGenerator[Commit[Any], None]:
    """Commits of revisions `from_` to `to`, inclusive, with bodies as plain data.

    Of a journal that goes up to sequence `at_least`, or farther.
    """
    stream = bus.topology.journal_of(agent.type)
    subject = bus.subjects.journal(agent)
    batches = _messages(bus, stream, subject, follow=follow, at_least=at_least)
    async with aclosing(commits_in(batches, stream, _skips(bus, agent), from_, to)) as commits:
        async for commit in commits:
            yield commit


async def _messages(
    bus: Bus,
    stream: str,
    subject: str,
    *,
    follow: bool = False,
    start: int = 1,
    at_least: int = 0,
) -> AsyncGenerator[list[StoredMessage], None]:
    """`read_messages`, but a journal that no host has made yet is an empty one."""
    try:
        messages = read_messages(
            bus, stream, subject, follow=follow, start=start, at_least=at_least
        )
        async with aclosing(messages) as batches:
            async for batch in batches:
                yield batch
    except (NoResponders, StreamGone):
        if await stream_facts(bus, stream) is not None:
            raise
        if follow:
            raise Unavailable(
                f"there is no journal {stream} to follow yet: start a host, then try again"
            ) from None


def _skips(bus: Bus, agent: AgentId) -> SkipsOf:
    journal = Journal(bus, bus.topology.journal_of(agent.type))
    return lambda: skips_of(journal, agent)


async def find_commit(
    bus: Bus, agent: AgentId, wanted: Callable[[Commit[Any]], bool], after: int = 0
) -> tuple[Commit[Any] | None, int]:
    """The first wanted commit behind sequence `after`, or None; and how far was read."""
    stream = bus.topology.journal_of(agent.type)
    subject = bus.subjects.journal(agent)
    async with aclosing(_messages(bus, stream, subject, start=after + 1)) as batches:
        async for batch in batches:
            for message in batch:
                commit = await commit_in(stream, message, _skips(bus, agent))
                after = message.sequence
                if commit is not None and wanted(commit):
                    return commit, after
            await asyncio.sleep(0)  # a long history is no reason to keep others waiting
    return None, after


async def fold_of(
    bus: Bus,
    agent_type: AgentType[S],
    agent: AgentId,
    *,
    revision: int | None = None,
    time: datetime | None = None,
    at_least: int = 0,
) -> Fold[S]:
    """The state after `revision`, or after the last commit not later than `time`, or now.

    With the revision, sequence and time of the commit it is after. Of a journal that goes up to
    sequence `at_least`, or farther.
    """
    if revision is not None and time is not None:
        raise Invalid("give a revision or a time, not both")
    until = to_micros(time) if time is not None else None
    stream = bus.topology.journal_of(agent.type)
    batches = _messages(bus, stream, bus.subjects.journal(agent), at_least=at_least)
    skips = _skips(bus, agent)
    return await fold_in(batches, agent_type, stream, agent, skips, revision=revision, until=until)
