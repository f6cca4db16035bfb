"""Replaying histories against code: each recorded command is decided again, on the state before it.

Live hosts and `verify` decide by the same function. What the handler did not decide (expired,
refused before it ran, ended its process) is left alone.
"""

import inspect
from collections.abc import Mapping
from contextlib import aclosing
from typing import Any, Literal

import msgspec

from moonlet.agents import AgentType
from moonlet.agents.deciding import Again, decide_again, fold_state, initial_state
from moonlet.core.behavior import Decision
from moonlet.core.codec import Encoding
from moonlet.core.commit import Commit
from moonlet.core.errors import Corrupt, Undecodable
from moonlet.core.fold import Fold
from moonlet.core.ids import AgentId
from moonlet.core.memory import NOTHING_KEPT
from moonlet.core.schema import decode_plain
from moonlet.replay.changes import Change, changes, said
from moonlet.replay.sources import HistorySource, Progress, messages_of
from moonlet.streams import Skips, StoredMessage, decode_commit, decode_plain_commit


class Divergent(msgspec.Struct, frozen=True):
    """Where a history and the code part first.

    decision: today's is another. two answers: the handler gives two for one input. history: the
    record makes no sense, or can't be folded by this code. `handler` is the file and line of the
    function, `recorded` and `decided` both sides as plain data, `changes` what differs.
    """

    agent: str
    revision: int
    kind: Literal["decision", "two answers", "history"]
    message: str
    command: str = ""
    handler: str = ""
    recorded: Any = None
    decided: Any = None
    changes: list[Change] = []


class Replayed(msgspec.Struct):
    """What came of one agent's history. `mended`: failed when recorded, and would not today."""

    agent: str
    commits: int = 0
    decided: int = 0
    mended: int = 0
    divergent: Divergent | None = None


async def replay_agent(
    source: HistorySource, agent_type: AgentType[Any], agent: AgentId
) -> Replayed:
    """Decide all of an agent's commands again, up to the first that comes out otherwise.

    Raises `Unavailable`; what is wrong with the record is told as a divergence.
    """
    replaying = _Replaying(agent, source, agent_type, await source.skips(agent))
    messages = messages_of(source, agent)
    try:
        async with aclosing(messages):
            async for message in messages:
                replaying.take(message)
    except Corrupt as error:
        replaying.stop(error)
    return replaying.result


async def replay_all(
    source: HistorySource,
    types: Mapping[str, AgentType[Any]],
    progress: Progress = lambda done, total: None,
) -> list[Replayed]:
    """The same for all agents of these types, sorted; one pass over the journals."""
    counts = await source.agents()
    total = sum(count for agent, count in counts.items() if agent.type in types)
    found: dict[AgentId, _Replaying] = {}
    done = 0
    for facts in await source.journals():
        batches = source.messages(facts.stream)
        async with aclosing(batches):
            async for batch in batches:
                for message in batch:
                    agent = source.subjects.journal_agent(message.subject)
                    if agent is None or agent.type not in types:
                        continue
                    replaying = found.get(agent)
                    if replaying is None:
                        skips = await source.skips(agent)
                        replaying = _Replaying(agent, source, types[agent.type], skips)
                        found[agent] = replaying
                    replaying.take(message)
                    done += 1
                progress(done, total)
    return [found[agent].result for agent in sorted(found)]


class _Replaying:
    """One agent's history on its way; after the first divergence only counts."""

    def __init__(
        self, agent: AgentId, source: HistorySource, agent_type: AgentType[Any], skips: Skips
    ) -> None:
        self._type = agent_type
        self._stream = source.topology.journal_of(agent.type)
        self._skips = skips
        self._fold: Fold[Any] = Fold(initial_state(agent_type))
        self._fold.past = NOTHING_KEPT
        self.result = Replayed(str(agent))

    def take(self, message: StoredMessage) -> None:
        """The next message."""
        self.result.commits += 1
        if self.result.divergent is None:
            try:
                self._take(message)
            except (Corrupt, Undecodable) as error:
                self.stop(error)

    def stop(self, error: Exception) -> None:
        """The record itself can't be followed any further."""
        revision = self._fold.revision + 1
        self.result.divergent = Divergent(self.result.agent, revision, "history", str(error))

    def _take(self, message: StoredMessage) -> None:
        skip = self._skips.get(message.sequence)
        if skip is not None and skip.what == "record":
            self._fold.skip(skip)
            return
        commit, encoding = decode_commit(self._stream, message)
        state = self._fold.state
        if skip is None:
            again = decide_again(self._type, state, commit, encoding)
            if again.difference is not None:
                self.result.divergent = self._divergent(again, commit, encoding, message)
                return
            self.result.decided += again.decided
            self.result.mended += again.mended
            state = fold_state(self._type, self._stream, state, commit, encoding)
        self._fold.advance(commit, state)

    def _divergent(
        self, again: Again, commit: Commit[Any], encoding: Encoding, message: StoredMessage
    ) -> Divergent:
        assert again.difference is not None
        recorded = said(decode_plain_commit(self._stream, message))
        decided = None if again.decision is None else _plain(again.decision, recorded, encoding)
        second = decide_again(self._type, self._fold.state, commit, encoding).decision
        kind: Literal["decision", "two answers"] = "decision"
        told = again.difference.message
        differ = [] if decided is None else changes(recorded, decided)
        if again.decision is not None and second is not None:
            twice = changes(decided, _plain(second, recorded, encoding))
            if twice:
                kind, differ = "two answers", twice
                told = f"the handler gives two answers for one input: {twice[0]}"
        return Divergent(
            commit.agent,
            commit.revision,
            kind,
            told,
            commit.command.name,
            _place(self._type, commit.command.name),
            recorded,
            decided,
            differ,
        )


def _place(agent_type: AgentType[Any], command: str) -> str:
    """`file:line function` of a command's handler; empty if it has none."""
    handler = agent_type.behavior.commands.get(command)
    if handler is None:
        return ""
    function = inspect.unwrap(handler.function)
    code = getattr(function, "__code__", None)
    if code is None:
        return getattr(function, "__qualname__", repr(function))
    return f"{code.co_filename}:{code.co_firstlineno} {function.__qualname__}"


def _plain(decision: Decision[Any], recorded: Any, encoding: Encoding) -> dict[str, Any]:
    """A decision as `said` tells a commit; the command is the recorded one."""
    return {
        "command": recorded["command"],
        "body": recorded["body"],
        "from": recorded["from"],
        "outcome": decision.outcome,
        "reason": decision.reason,
        "events": [
            {"name": event.name, "body": decode_plain(event.body, encoding)}
            for event in decision.events
        ],
        "effects": [
            {
                "kind": effect.kind,
                "target": effect.target,
                "lane": effect.lane,
                "name": effect.message.name if effect.message is not None else "",
                "body": decode_plain(effect.message.body, encoding)
                if effect.message is not None
                else None,
            }
            for effect in decision.effects
        ],
        "reply": None if decision.reply is None else decode_plain(decision.reply, encoding),
    }
