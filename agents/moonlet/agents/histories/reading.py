"""Reading what agents have done: commits in order, states as of any revision or time."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import datetime
from typing import Any, TypeVar

from moonlet.agents.deciding import fold_message, initial_state
from moonlet.agents.definition import AgentType
from moonlet.core.commit import Commit
from moonlet.core.errors import Corrupt, Invalid, Unavailable, Undecodable
from moonlet.core.fold import Fold
from moonlet.core.hlc import to_micros
from moonlet.core.ids import AgentId
from moonlet.core.memory import NOTHING_KEPT
from moonlet.streams import (
    Bus,
    Journal,
    NoResponders,
    Skips,
    StoredMessage,
    StreamGone,
    decode_commit,
    decode_plain_commit,
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
    async with aclosing(
        _messages(bus, stream, subject, follow=follow, at_least=at_least)
    ) as batches:
        async for batch in batches:
            for message in batch:
                commit = await _unless_left_out(bus, agent, message)
                if commit is None:
                    continue
                if to is not None and commit.revision > to:
                    return
                if commit.revision >= from_:
                    yield commit
                if commit.revision == to:
                    return


async def _unless_left_out(bus: Bus, agent: AgentId, message: StoredMessage) -> Commit[Any] | None:
    """The commit of a message; None if it makes no sense, and a repair leaves it out."""
    stream = bus.topology.journal_of(agent.type)
    try:
        return decode_plain_commit(stream, message)
    except (Undecodable, Corrupt):
        skip = (await skips_of(Journal(bus, stream), agent)).get(message.sequence)
        if skip is None or skip.what != "record":
            raise
        return None


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


async def _skips(bus: Bus, agent: AgentId) -> Skips:
    return await skips_of(Journal(bus, bus.topology.journal_of(agent.type)), agent)


async def find_commit(
    bus: Bus, agent: AgentId, id: str, after: int = 0
) -> tuple[Commit[Any] | None, int]:
    """The commit of a command id behind sequence `after`, or None; and how far was read."""
    stream = bus.topology.journal_of(agent.type)
    subject = bus.subjects.journal(agent)
    async with aclosing(_messages(bus, stream, subject, start=after + 1)) as batches:
        async for batch in batches:
            for message in batch:
                commit = await _unless_left_out(bus, agent, message)
                after = message.sequence
                if commit is not None and commit.command.id == id:
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
    if revision is not None and revision < 0:
        raise Invalid(f"revision {revision}: revisions count from 1; 0 is the initial state")
    until = to_micros(time) if time is not None else None
    stream = bus.topology.journal_of(agent.type)
    fold = Fold(initial_state(agent_type))
    fold.past = NOTHING_KEPT  # nothing is decided on it
    subject = bus.subjects.journal(agent)
    skips: Skips | None = None
    async with aclosing(_messages(bus, stream, subject, at_least=at_least)) as batches:
        async for batch in batches:
            for message in batch:
                if fold.revision == revision:
                    return fold
                if skips is None:
                    skips = await _skips(bus, agent)
                left_out = message.sequence in skips and skips[message.sequence].what == "record"
                if until is not None and not left_out:
                    if decode_commit(stream, message)[0].time.micros > until:
                        return fold
                fold_message(agent_type, stream, fold, message, skips)
    if revision is not None and fold.revision < revision:
        raise Invalid(f"{agent} has no revision {revision}: its last is {fold.revision}")
    return fold
