"""The states of many agents at once, in one pass."""

from collections.abc import Mapping
from contextlib import aclosing
from typing import Any

from moonlet.agents import AgentType
from moonlet.agents.deciding import fold_message
from moonlet.core.fold import Fold
from moonlet.core.ids import AgentId
from moonlet.replay.sources import HistorySource
from moonlet.replay.states.cut import Cut
from moonlet.replay.states.held import StateAt, fold_from, state_of


async def states_at(
    source: HistorySource, types: Mapping[str, AgentType[Any]], name: str, cut: Cut | None = None
) -> list[StateAt]:
    """The states of all agents of type `name`, sorted: at the cut, or now. One pass.

    Raises `Undecodable`, `Corrupt` for the first history that can't be folded, `Unavailable`.
    """
    stream = source.topology.journal_of(name)
    last = None if cut is None else cut.frontier.get(stream, 0)
    folds: dict[AgentId, Fold[Any]] = {}
    skips: dict[AgentId, Any] = {}
    batches = source.messages(stream, source.subjects.journals(name))
    async with aclosing(batches):
        async for batch in batches:
            for message in batch:
                if last is not None and message.sequence > last:
                    break
                agent = source.subjects.journal_agent(message.subject)
                if agent is None:
                    continue
                fold = folds.get(agent)
                if fold is None:
                    fold = folds[agent] = fold_from(types[name], None)
                    skips[agent] = await source.skips(agent)
                fold_message(types[name], stream, fold, message, skips[agent])
            if last is not None and batch[-1].sequence > last:
                break
    return [state_of(agent, folds[agent]) for agent in sorted(folds)]
