"""Along one history: each commit with the plain state before and after it."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import msgspec

from moonlet.agents import AgentType
from moonlet.agents.deciding import fold_message, initial_state
from moonlet.core.commit import Commit
from moonlet.core.fold import Fold
from moonlet.core.ids import AgentId
from moonlet.core.memory import NOTHING_KEPT
from moonlet.replay.sources import HistorySource, messages_of
from moonlet.replay.states import plain_state
from moonlet.streams import decode_plain_commit


class Walked(msgspec.Struct, frozen=True):
    """A commit, bodies plain, and the states around it; the same object if nothing changed."""

    commit: Commit[Any]
    before: Any
    after: Any


async def walk(
    source: HistorySource, agent_type: AgentType[Any], agent: AgentId, to: int | None = None
) -> AsyncGenerator[Walked, None]:
    """All commits from the first to revision `to`; what a repair leaves out is left out.

    Raises `Undecodable` and `Corrupt` where the history can't be folded on, `Unavailable`.
    """
    stream = source.topology.journal_of(agent.type)
    skips = await source.skips(agent)
    fold: Fold[Any] = Fold(initial_state(agent_type))
    fold.past = NOTHING_KEPT
    held, plain = fold.state, plain_state(fold.state)
    messages = messages_of(source, agent)
    async with aclosing(messages):
        async for message in messages:
            if fold_message(agent_type, stream, fold, message, skips) is None:
                continue
            before = plain
            if fold.state is not held:
                held, plain = fold.state, plain_state(fold.state)
            commit = decode_plain_commit(stream, message)
            yield Walked(commit, before, plain)
            if commit.revision == to:
                return
