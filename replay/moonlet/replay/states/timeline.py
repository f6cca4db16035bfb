"""One agent's history, read where it is asked for: the state and the commit of any revision.

A state is kept every so many commits. From the nearest one before a revision a page of messages is
read and folded; the first of these is the commit that the kept state is after, and must have the
digest that it was kept with. A digest covers all commits before it, so a state of another history,
or of one that went back, is known by that one look, and all that was kept is made anew.
"""

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Final

from moonlet.agents import AgentType
from moonlet.agents.deciding import fold_message
from moonlet.core.commit import Commit
from moonlet.core.errors import Corrupt, Invalid, Undecodable
from moonlet.core.fold import Fold
from moonlet.core.ids import AgentId
from moonlet.replay.sources import HistorySource, Progress, last_revision, messages_of
from moonlet.replay.states.held import StateAt, fold_from, state_of
from moonlet.replay.states.keyframes import AgentKeyframes, Keyframes, MemoryKeyframes
from moonlet.streams import Skips, StoredMessage, decode_plain_commit

SEGMENT: Final = 255
"""Commits between two kept states: with the one before them a page that is read at once."""

SEGMENTS_MAX: Final = 32
"""Segments that are in memory, messages and states; the ones used longest ago go first."""

Passed = tuple[StoredMessage, Any, Any]
"""A commit as it is stored, the state before it, and the state after; one object if it is equal."""


class _Segment:
    """The messages behind one state, and the states after each."""

    def __init__(self, start: StateAt) -> None:
        self.states = [start]
        self.messages: list[StoredMessage] = []

    def find(self, revision: int) -> int | None:
        """The place of the state after `revision`; None if it is not here."""
        states = self.states
        if not states[0].revision <= revision <= states[-1].revision:
            return None
        return bisect_right(states, revision, key=lambda held: held.revision) - 1


class Timeline:
    """One agent's history as of when it was opened; any revision is near. Keeps what it folds."""

    def __init__(
        self,
        source: HistorySource,
        agent_type: AgentType[Any],
        agent: AgentId,
        last: int,
        skips: Skips,
        kept: AgentKeyframes,
        progress: Progress,
    ) -> None:
        self.agent = agent
        self.last = last
        """The last revision, 0 if there is none."""
        self._source = source
        self._type = agent_type
        self.stream = source.topology.journal_of(agent.type)
        """The journal it is in."""
        self._skips = skips
        self._kept = kept
        self.progress = progress
        self._segments: OrderedDict[int, _Segment] = OrderedDict()
        self._near: StateAt | None = None  # the one that was looked at last

    @classmethod
    async def open(
        cls,
        source: HistorySource,
        agent_type: AgentType[Any],
        agent: AgentId,
        keyframes: Keyframes | None = None,
        progress: Progress = lambda done, total: None,
    ) -> "Timeline":
        """Look at its end; raises as reading does. Without `keyframes` they are kept in memory.

        `progress` is called on long ways with the revision that was come to, and the last.
        """
        last = await last_revision(source, agent)
        skips = await source.skips(agent) if last else {}
        kept = (keyframes or MemoryKeyframes()).of(agent_type, agent, skips)
        return cls(source, agent_type, agent, last, skips, kept, progress)

    async def at(self, revision: int) -> StateAt:
        """The state after a revision; 0 is the initial one.

        Of a revision that a repair left out it is the one before, which says its own revision.
        Raises `Invalid` if there is none, `Undecodable` and `Corrupt` where the history before it
        can't be folded, `Unavailable`.
        """
        if not 0 <= revision <= self.last:
            raise self._no(revision)
        segment, at = await self._find(revision)
        return segment.states[at]

    async def commit(self, revision: int) -> Commit[Any]:
        """The commit of a revision, bodies plain; raises as `at`."""
        if not 1 <= revision <= self.last:
            raise self._no(revision)
        segment, at = await self._find(revision)
        if at == 0:  # the segment before ends with it
            message = await self._source.message(self.stream, segment.states[0].sequence)
        else:
            message = segment.messages[at - 1]
        skip = self._skips.get(message.sequence) if message is not None else None
        left_out = segment.states[at].revision != revision
        if message is None or left_out or (skip is not None and skip.what == "record"):
            raise Invalid(f"{self.agent}@{revision} can't be read: a repair left it out")
        return decode_plain_commit(self.stream, message)

    async def near(self, revision: int) -> StateAt:
        """The last kept state not later than `revision`, or the initial one: a single look."""
        held = self._kept.nearest(revision)
        if held is None or not held.revision:
            return await self.at(0)
        if self._near is not None and self._near.revision == held.revision:
            return self._near
        if await self._is_ours(held):
            self._near = held
            return held
        self._kept.drop()
        return await self.at(0)

    async def behind(self, start: int, end: int) -> AsyncGenerator[Passed, None]:
        """Every commit behind revision `start` up to `end`, and the states around it, in one go.

        What a repair leaves out is left out. Raises as `at`.
        """
        held = await self.at(start)
        fold, since = fold_from(self._type, held), 0
        messages = messages_of(self._source, self.agent, start=held.sequence + 1)
        async with aclosing(messages):
            async for message in messages:
                if fold.revision >= end:
                    break
                before, since = fold.state, since + 1
                folded = fold_message(self._type, self.stream, fold, message, self._skips)
                if since % SEGMENT == 0:
                    self._kept.keep(state_of(self.agent, fold))
                if folded is not None:
                    yield message, before, fold.state
        self._kept.flush()

    def _no(self, revision: int) -> Invalid:
        return Invalid(f"{self.agent} has no revision {revision}: its last is {self.last}")

    async def _find(self, revision: int) -> tuple[_Segment, int]:
        for segment in reversed(self._segments.values()):
            at = segment.find(revision)
            if at is not None:
                self._segments.move_to_end(segment.states[0].revision)
                return segment, at
        segment = await self._read(revision)
        at = segment.find(revision)
        if at is None:
            raise self._no(revision)
        self._segments[segment.states[0].revision] = segment
        while len(self._segments) > SEGMENTS_MAX:
            self._segments.popitem(last=False)
        return segment, at

    async def _read(self, revision: int) -> _Segment:
        """The segment with a revision, from the nearest kept state before it."""
        held = self._kept.nearest(revision)
        try:
            segment = None if held is None else await self._read_from(held, revision)
            if segment is None:
                if held is not None:
                    self._kept.drop()
                first = state_of(self.agent, fold_from(self._type, None))
                segment = await self._read_from(first, revision)
                assert segment is not None
        finally:
            self._kept.flush()
        return segment

    async def _read_from(self, held: StateAt, revision: int) -> _Segment | None:
        """None if the state that was kept is not of this history."""
        fold, segment = fold_from(self._type, held), _Segment(held)
        if revision == held.revision and not revision:
            return segment
        messages = messages_of(self._source, self.agent, start=max(1, held.sequence))
        known = not held.revision
        async with aclosing(messages):
            async for message in messages:
                if not known:
                    if not self._is_of(message, held):
                        return None
                    known = True
                    if revision == held.revision:
                        return segment
                    continue
                if len(segment.messages) >= SEGMENT:
                    segment = self._next(fold, segment)
                try:
                    fold_message(self._type, self.stream, fold, message, self._skips)
                except (Corrupt, Undecodable):
                    if segment.states[-1].revision < revision:
                        raise
                    break  # what is before it can be read all the same
                segment.messages.append(message)
                segment.states.append(state_of(self.agent, fold))
                full = len(segment.messages) >= SEGMENT
                if full:
                    self._kept.keep(segment.states[-1])
                if fold.revision >= revision and (full or fold.revision >= self.last):
                    break
        return segment if known else None

    def _next(self, fold: Fold[Any], before: _Segment) -> _Segment:
        self.progress(fold.revision, max(self.last, fold.revision))
        return _Segment(before.states[-1])

    async def _is_ours(self, held: StateAt) -> bool:
        message = await self._source.message(self.stream, held.sequence)
        return message is not None and self._is_of(message, held)

    def _is_of(self, message: StoredMessage, held: StateAt) -> bool:
        """Whether the state is the one after this commit."""
        if message.subject != self._source.subjects.journal(self.agent):
            return False
        skip = self._skips.get(message.sequence)
        if skip is not None and skip.what == "record":
            return (skip.revision, skip.digest) == (held.revision, held.digest)
        try:
            commit = decode_plain_commit(self.stream, message)
        except (Undecodable, Corrupt):
            return False
        ours = (commit.agent, commit.revision, commit.digest, commit.sequence)
        return ours == (str(self.agent), held.revision, held.digest, held.sequence)


async def state_at(
    source: HistorySource,
    agent_type: AgentType[Any],
    agent: AgentId,
    revision: int | None = None,
    keyframes: Keyframes | None = None,
    progress: Progress = lambda done, total: None,
) -> StateAt:
    """The state after `revision`, or the last, from the nearest kept one; as `Timeline.at`."""
    if revision is not None and revision < 0:
        raise Invalid(f"revision {revision}: revisions count from 1; 0 is the initial state")
    timeline = await Timeline.open(source, agent_type, agent, keyframes, progress)
    return await timeline.at(timeline.last if revision is None else revision)
