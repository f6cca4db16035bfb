"""What one agent's records say, wherever they are read: its commits in order, and their fold.

A server's journal and a copy of one in a file are read by the same functions: they give batches of
messages, and what the agent's last repair leaves out.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, TypeVar

from moonlet.agents.deciding import fold_message, initial_state
from moonlet.agents.definition import AgentType
from moonlet.core.commit import Commit
from moonlet.core.errors import Corrupt, Invalid, Undecodable
from moonlet.core.fold import Fold
from moonlet.core.ids import AgentId
from moonlet.core.memory import NOTHING_KEPT
from moonlet.streams import Skips, StoredMessage, decode_commit, decode_plain_commit

S = TypeVar("S")

Batches = AsyncGenerator[list[StoredMessage], None]
"""An agent's messages in order; closed by whoever reads them here."""

SkipsOf = Callable[[], Awaitable[Skips]]
"""Looks up what is left out; asked only if it is needed."""


async def commit_in(stream: str, message: StoredMessage, skips: SkipsOf) -> Commit[Any] | None:
    """The commit of a message, bodies plain; None if it makes no sense, and a repair leaves it out.

    Raises `Undecodable` and `Corrupt` for one that no repair leaves out.
    """
    try:
        return decode_plain_commit(stream, message)
    except (Undecodable, Corrupt):
        skip = (await skips()).get(message.sequence)
        if skip is None or skip.what != "record":
            raise
        return None


async def commits_in(
    batches: Batches, stream: str, skips: SkipsOf, from_: int = 1, to: int | None = None
) -> AsyncGenerator[Commit[Any], None]:
    """Commits of revisions `from_` to `to`, inclusive, as `commit_in`; `to` is not read beyond."""
    async with aclosing(batches):
        async for batch in batches:
            for message in batch:
                commit = await commit_in(stream, message, skips)
                if commit is None:
                    continue
                if to is not None and commit.revision > to:
                    return
                if commit.revision >= from_:
                    yield commit
                if commit.revision == to:
                    return


async def fold_in(
    batches: Batches,
    agent_type: AgentType[S],
    stream: str,
    agent: AgentId,
    skips: SkipsOf,
    *,
    revision: int | None = None,
    until: int | None = None,
) -> Fold[S]:
    """The state after `revision` (0 is the initial one), or the last commit not later than `until`.

    That is in µs since 1970; without either after the last. From the first on, to be read, not to
    be decided on. Raises `Invalid` for a revision that is not there, `Undecodable`, `Corrupt`.
    """
    if revision is not None and revision < 0:
        raise Invalid(f"revision {revision}: revisions count from 1; 0 is the initial state")
    fold = Fold(initial_state(agent_type))
    fold.past = NOTHING_KEPT  # nothing is decided on it
    known: Skips | None = None
    async with aclosing(batches):
        if revision == 0:
            return fold
        async for batch in batches:
            for message in batch:
                if known is None:
                    known = await skips()
                left_out = message.sequence in known and known[message.sequence].what == "record"
                if until is not None and not left_out:
                    if decode_commit(stream, message)[0].time.micros > until:
                        return fold
                fold_message(agent_type, stream, fold, message, known)
                if fold.revision == revision:
                    return fold
    if revision is not None:
        raise Invalid(f"{agent} has no revision {revision}: its last is {fold.revision}")
    return fold
