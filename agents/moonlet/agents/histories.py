"""Reading what agents have done: commits in order, states as of any revision or time."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import datetime
from typing import Any, TypeVar

from moonlet.agents.agent_type import AgentType
from moonlet.agents.recovery import fold_state
from moonlet.core.commit import Commit
from moonlet.core.errors import Invalid
from moonlet.core.fold import Fold
from moonlet.core.hlc import to_micros
from moonlet.core.ids import AgentId
from moonlet.streams import Bus, decode_commit, decode_plain_commit, read_messages

S = TypeVar("S")


async def read_commits(
    bus: Bus, agent: AgentId, from_: int, to: int | None, follow: bool
) -> AsyncGenerator[Commit[Any], None]:
    """Commits of revisions `from_` to `to`, inclusive, with bodies as plain data."""
    stream = bus.topology.journal_of(agent.type)
    subject = bus.subjects.journal(agent)
    async with aclosing(read_messages(bus, stream, subject, follow=follow)) as batches:
        async for batch in batches:
            for message in batch:
                commit = decode_plain_commit(stream, message)
                if to is not None and commit.revision > to:
                    return
                if commit.revision >= from_:
                    yield commit
                if commit.revision == to:
                    return


async def find_commit(bus: Bus, agent: AgentId, id: str) -> Commit[Any] | None:
    """The commit of a command id; None if it is not committed."""
    async with aclosing(read_commits(bus, agent, 1, None, False)) as commits:
        async for commit in commits:
            if commit.command.id == id:
                return commit
    return None


async def state_of(
    bus: Bus,
    agent_type: AgentType[S],
    agent: AgentId,
    revision: int | None,
    time: datetime | None,
) -> S:
    """The state after `revision`, or after the last commit not later than `time`, or now."""
    if revision is not None and time is not None:
        raise Invalid("give a revision or a time, not both")
    if revision is not None and revision < 0:
        raise Invalid(f"revision {revision}: revisions count from 1; 0 is the initial state")
    until = to_micros(time) if time is not None else None
    stream = bus.topology.journal_of(agent.type)
    fold = Fold(agent_type.behavior.initial())
    subject = bus.subjects.journal(agent)
    async with aclosing(read_messages(bus, stream, subject)) as batches:
        async for batch in batches:
            for message in batch:
                if fold.revision == revision:
                    return fold.state
                commit, encoding = decode_commit(stream, message)
                if until is not None and commit.time.micros > until:
                    return fold.state
                state = fold_state(agent_type, stream, fold.state, commit, encoding)
                fold.advance(commit, state)
    if revision is not None and fold.revision < revision:
        raise Invalid(f"{agent} has no revision {revision}: its last is {fold.revision}")
    return fold.state
