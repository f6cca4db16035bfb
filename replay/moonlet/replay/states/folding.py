"""States of many agents at once, and of one at any revision without folding from the first."""

from bisect import bisect_right
from collections.abc import Mapping
from contextlib import aclosing
from typing import Any, Final

import msgspec

from moonlet.agents import AgentType
from moonlet.agents.deciding import fold_message, initial_state
from moonlet.core.commit import Commit
from moonlet.core.errors import Invalid
from moonlet.core.fold import Fold
from moonlet.core.hlc import Timestamp
from moonlet.core.ids import AgentId
from moonlet.core.memory import NOTHING_KEPT
from moonlet.replay.sources import HistorySource, Progress, last_revision, messages_of
from moonlet.replay.states.cut import Cut
from moonlet.streams import StoredMessage, decode_plain_commit

KEYFRAME_EVERY: Final = 256
"""Commits between two states that a `Timeline` keeps."""


class StateAt(msgspec.Struct, frozen=True):
    """An agent's state after a revision; sequence, time and digest are its last commit's.

    Of revision 0 sequence and time are 0, and there is no digest.
    """

    agent: AgentId
    revision: int
    sequence: int
    time: Timestamp
    digest: str
    state: Any


def _state_at(agent: AgentId, fold: Fold[Any]) -> StateAt:
    return StateAt(agent, fold.revision, fold.sequence, fold.time, fold.digest, fold.state)


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
                    fold = folds[agent] = Fold(initial_state(types[name]))
                    fold.past = NOTHING_KEPT
                    skips[agent] = await source.skips(agent)
                fold_message(types[name], stream, fold, message, skips[agent])
            if last is not None and batch[-1].sequence > last:
                break
    return [_state_at(agent, folds[agent]) for agent in sorted(folds)]


class Timeline:
    """One agent's history in memory, with a state kept every 256 commits: any point is near.

    States are never changed in place, so those that are kept share what did not change.
    """

    def __init__(self, agent: AgentId, agent_type: AgentType[Any], stream: str) -> None:
        self.agent = agent
        self._type = agent_type
        self._stream = stream
        self._last: StateAt
        self._messages: list[StoredMessage] = []
        self._skips: Any = {}
        self._keyframes: list[tuple[int, StateAt]] = []  # messages folded before it, and it

    @classmethod
    async def read(
        cls,
        source: HistorySource,
        agent_type: AgentType[Any],
        agent: AgentId,
        progress: Progress = lambda done, total: None,
    ) -> "Timeline":
        """Read and fold the whole history once; raises as that does.

        `progress` is called now and then with the commits that were read, and those there are.
        """
        total = await last_revision(source, agent)
        stream = source.topology.journal_of(agent.type)
        made = cls(agent, agent_type, stream)
        made._skips = await source.skips(agent)
        fold = made._fold_from(None)
        made._keyframes.append((0, _state_at(agent, fold)))
        messages = messages_of(source, agent)
        async with aclosing(messages):
            async for message in messages:
                made._messages.append(message)
                fold_message(agent_type, stream, fold, message, made._skips)
                if len(made._messages) % KEYFRAME_EVERY == 0:
                    progress(len(made._messages), max(total, len(made._messages)))
                    made._keyframes.append((len(made._messages), _state_at(agent, fold)))
        made._last = _state_at(agent, fold)
        return made

    @property
    def last(self) -> StateAt:
        """The newest state."""
        return self._last

    def commit(self, revision: int) -> Commit[Any]:
        """The commit of a revision, bodies plain; raises `Invalid` if there is none."""
        for message in self._behind(revision - 1):
            skip = self._skips.get(message.sequence)
            if skip is not None and skip.what == "record":
                continue
            commit = decode_plain_commit(self._stream, message)
            if commit.revision == revision:
                return commit
        raise self._no(revision)

    def at(self, revision: int) -> StateAt:
        """The state after a revision (0: the initial one); raises `Invalid` if there is none."""
        if not 0 <= revision <= self._last.revision:
            raise self._no(revision)
        key = self._key(revision)
        start, kept = self._keyframes[key]
        fold = self._fold_from(kept)
        for message in self._messages[start:]:
            if fold.revision == revision:
                break
            self._take(fold, message)
        return _state_at(self.agent, fold)

    def _no(self, revision: int) -> Invalid:
        return Invalid(f"{self.agent} has no revision {revision}: its last is {self.last.revision}")

    def _key(self, revision: int) -> int:
        revisions = bisect_right(self._keyframes, revision, key=lambda kept: kept[1].revision)
        return max(0, revisions - 1)

    def _behind(self, revision: int) -> list[StoredMessage]:
        start = self._keyframes[self._key(max(0, revision))][0]
        return self._messages[start : start + 2 * KEYFRAME_EVERY]

    def _fold_from(self, kept: StateAt | None) -> Fold[Any]:
        fold: Fold[Any] = Fold(initial_state(self._type) if kept is None else kept.state)
        fold.past = NOTHING_KEPT
        if kept is not None:
            fold.revision, fold.sequence = kept.revision, kept.sequence
            fold.digest, fold.time = kept.digest, kept.time
        return fold

    def _take(self, fold: Fold[Any], message: StoredMessage) -> None:
        fold_message(self._type, self._stream, fold, message, self._skips)
