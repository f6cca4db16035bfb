"""ForkRun a record on: a world without processes or network, in which each command has its time.

Commands are decided one after the other by the function that hosts decide by. What was recorded
is decided when it was then, or as long after its cause as then; what is new follows its cause after
`LATENCY`. A command keeps the revision that it had, and so do the ids of what follows
from it; what is new has revisions behind the recorded ones. So where nothing is done otherwise,
nothing comes out otherwise, which no simulated network could say: there another order of arrival
would be a difference too.
"""

import heapq
from collections.abc import Collection, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from moonlet.agents import AgentType
from moonlet.agents.deciding import fold_state, initial_state, judge
from moonlet.agents.effects import caused_envelope
from moonlet.core.behavior import Decision
from moonlet.core.codec import Encoding
from moonlet.core.commit import Command, Commit
from moonlet.core.digest import record_digest
from moonlet.core.envelope import Envelope
from moonlet.core.errors import Invalid, MoonletError, Undecodable
from moonlet.core.fold import Fold, call_id
from moonlet.core.hlc import Timestamp
from moonlet.core.memory import NOTHING_KEPT
from moonlet.core.schema import encode_plain
from moonlet.replay.causes import CausedBy
from moonlet.replay.forks.answers import Answer, RecordedAnswers
from moonlet.replay.forks.edits import Change, Drop, Edit, Insert, Reorder
from moonlet.replay.forks.recording import Recorded, Recording, agent_type_of

LATENCY: Final = 1_000
"""µs from a decision to that of a command which it newly causes."""

COMMITS_MAX: Final = 1_000_000
"""Commits that a fork may make; then it stops, and says so."""

BEYOND: Final = 86_400 * 10**6
"""µs behind the record's last commit at which timers no longer fire."""


class _Due(NamedTuple):
    """A command on its way; sorted by its time, then by when it was put."""

    time: Timestamp
    number: int
    wall: int
    envelope: Envelope
    encoding: Encoding


class ForkRun:
    """One fork on its way. `made` are its commits, from the fork on, bodies encoded."""

    def __init__(
        self,
        record: Recording,
        types: Mapping[str, AgentType[Any]],
        start: int,
        edits: tuple[Change, ...],
        answer: Answer | None,
        afresh: Collection[str] = (),
    ) -> None:
        self._record = record
        self._types = types
        self._answers = RecordedAnswers(record, answer, afresh)
        self._edits = {(e.agent, e.command): e for e in edits if not isinstance(e, Insert)}
        self._folds: dict[str, Fold[Any]] = {}
        self._waiting: list[_Due] = []
        self._count = 0
        self._done: set[tuple[str, str]] = set()
        self._last: dict[str, int] = {}  # revisions given out behind the recorded ones
        ends = [each.micros for each in edits if isinstance(each, Insert)]
        ends += [each.commit.wall_us for each in record.commits[-1:]]
        self._until = max(ends, default=0) + BEYOND
        self.made: list[tuple[Commit[Any], Encoding]] = []
        self.unanswered: list[str] = []
        self.codeless: set[str] = set()
        self.failed: dict[str, str] = {}
        self.stopped = ""
        self._revisions: set[tuple[str, int]] = set()
        if record.opens:  # a repair may have left out what a command came from
            self._revisions = {(e.commit.agent, e.commit.revision) for e in record.commits}
        self._begin(start)
        for number, each in enumerate(e for e in edits if isinstance(e, Insert)):
            body = msgspec.Raw(encode_plain(each.body, "json"))
            id = f"fork-{number + 1}"
            envelope = Envelope(id=id, agent=each.agent, name=each.name, body=body, sender="fork")
            self._put(Timestamp(each.micros), each.micros, envelope, "json")

    @property
    def folds(self) -> Mapping[str, Fold[Any]]:
        """The agents' folds, as they are now."""
        return self._folds

    def run(self) -> None:
        """Until nothing is to be done any more, or a limit is reached."""
        while self._waiting:
            due = heapq.heappop(self._waiting)
            if len(self.made) >= COMMITS_MAX:
                self.stopped = f"after {COMMITS_MAX:,} commits"
                return
            if due.wall > self._until:
                self.stopped = "a day behind the record's end, with timers that are still open"
                return
            self._decide(due)

    # the state of things where the fork begins

    def _begin(self, start: int) -> None:
        """Fold what is before `start`; put what waits there, and what comes from outside later.

        Raises `Invalid` for a start before the last repair.
        """
        if start < self._record.opens:
            repair = self._record.commits[self._record.opens - 1].commit
            raise Invalid(
                f"{repair.agent} was repaired at {repair.agent}@{repair.revision}: what came before"
                " was decided on states that nobody has any more; fork behind it, with --at"
            )
        before, after = self._record.commits[:start], self._record.commits[start:]
        self._done = {each.name for each in before}
        for each in before:
            self._fold(each)
        for each in before:
            fold = self._folds.get(each.commit.agent)
            if fold is not None:
                self._effects(each.commit, each.encoding, fold)
        for each in after:
            if each.cause is None or not self._is_known(each.cause):
                commit = each.commit
                self._put(commit.time, commit.wall_us, _envelope(each), each.encoding)

    def _is_known(self, cause: CausedBy) -> bool:
        """Whether what a commit causes follows from it here."""
        if (
            cause.agent not in self._record.by_agent
            or agent_type_of(cause.agent) not in self._types
        ):
            return False
        return not self._record.opens or (cause.agent, cause.revision) in self._revisions

    def _fold(self, each: Recorded) -> None:
        commit = each.commit
        fold = self._fold_of(commit.agent)
        if fold is None or commit.agent in self.failed:
            return
        agent_type = self._types[agent_type_of(commit.agent)]
        try:
            if each.gap is not None:
                fold.skip(each.gap)
            state = fold.state
            if not each.without_events:
                state = fold_state(agent_type, each.stream, state, commit, each.encoding)
            fold.advance(commit, state)
        except MoonletError as error:
            self.failed[commit.agent] = str(error)

    def _fold_of(self, agent: str) -> Fold[Any] | None:
        """An agent's fold; None if its code is not known here."""
        fold = self._folds.get(agent)
        if fold is None:
            agent_type = self._types.get(agent_type_of(agent))
            if agent_type is None:
                self.codeless.add(agent_type_of(agent))
                return None
            fold = self._folds[agent] = Fold(initial_state(agent_type))
            fold.past = NOTHING_KEPT
        return fold

    def _put(self, time: Timestamp, wall: int, envelope: Envelope, encoding: Encoding) -> None:
        edit = self._edits.get((envelope.agent, envelope.id))
        if isinstance(edit, Drop):
            return
        if isinstance(edit, Edit):
            body = msgspec.Raw(encode_plain(edit.body, encoding))
            envelope = msgspec.structs.replace(envelope, body=body)
        self._count += 1
        number = self._count
        if isinstance(edit, Reorder):
            other = self._record.by_command[edit.before_agent, edit.before_command]
            time, wall, number = other.commit.time, other.commit.wall_us, -number
        heapq.heappush(self._waiting, _Due(time, number, wall, envelope, encoding))

    def _put_caused(
        self, cause: Commit[Any], envelope: Envelope, encoding: Encoding, earliest: int
    ) -> None:
        """As it was recorded, as long after its cause as it was; what is new at `earliest` (µs)."""
        then = self._record.by_command.get((envelope.agent, envelope.id))
        before = self._record.by_command.get((cause.agent, cause.command.id))
        if then is None or before is None:
            self._put(Timestamp(earliest), earliest, envelope, encoding)
        elif before.commit.wall_us == cause.wall_us:
            self._put(then.commit.time, then.commit.wall_us, envelope, encoding)
        else:
            later = cause.wall_us + max(1, then.commit.wall_us - before.commit.wall_us)
            self._put(Timestamp(later), later, envelope, encoding)

    # deciding

    def _decide(self, due: _Due) -> None:
        envelope, agent = due.envelope, due.envelope.agent
        fold = self._fold_of(agent)
        if fold is None or agent in self.failed or (agent, envelope.id) in self._done:
            return
        if self._is_over(fold, envelope):
            return
        self._done.add((agent, envelope.id))
        fold.revision = self._revision(agent, envelope.id) - 1
        agent_type = self._types[agent_type_of(agent)]
        if envelope.deadline and due.wall > envelope.deadline:
            decision: Decision[Any] = Decision("expired", fold.state, reason="its deadline passed")
        else:
            decision, _ = judge(
                agent_type,
                fold.state,
                envelope,
                due.encoding,
                revision=fold.revision,
                micros=due.wall,
            )
        commit = _commit(due, decision, fold)
        try:
            state = fold_state(agent_type, "fork", fold.state, commit, due.encoding)
        except Undecodable as error:
            self.failed[agent] = str(error)
            return
        fold.advance(commit, state)
        self.made.append((commit, due.encoding))
        self._effects(commit, due.encoding, fold)

    def _revision(self, agent: str, id: str) -> int:
        """The one that the command had; of one that is new, the next behind all."""
        recorded = self._record.by_command.get((agent, id))
        if recorded is not None:
            return recorded.commit.revision
        last = self._last.get(agent)
        if last is None:
            own = self._record.by_agent.get(agent)
            last = own[-1].commit.revision if own else 0
        self._last[agent] = last + 1
        return last + 1

    def _is_over(self, fold: Fold[Any], envelope: Envelope) -> bool:
        """Whether it is the firing of a timer that was called off, or a result of a closed call."""
        if envelope.timer:
            timer = fold.timers.get(envelope.timer)
            return timer is None or timer.revision != envelope.number
        return bool(envelope.call) and envelope.call not in fold.calls

    def _effects(self, commit: Commit[Any], encoding: Encoding, fold: Fold[Any]) -> None:
        """What a commit causes, each at its time."""
        now = commit.wall_us
        for index, effect in enumerate(commit.effects):
            if effect.kind == "send":
                sent = caused_envelope(commit, index, agent=effect.target, lane=effect.lane)
                if (sent.agent, sent.id) not in self._done:
                    self._put_caused(commit, sent, encoding, now + LATENCY)
            elif effect.kind == "schedule":
                timer = fold.timers.get(effect.target)
                if timer is None or timer.revision != commit.revision:
                    continue
                fires = caused_envelope(
                    commit, index, agent=commit.agent, lane="high", timer=effect.target
                )
                self._put_caused(commit, fires, encoding, max(effect.due, now + 1))
            elif effect.kind == "perform":
                self._call(commit, index, encoding, fold)

    def _call(self, commit: Commit[Any], index: int, encoding: Encoding, fold: Fold[Any]) -> None:
        id = call_id(commit.agent, commit.revision, index)
        if id not in fold.calls:
            return
        call = caused_envelope(commit, index, agent=commit.agent, lane="medium", call=id)
        agent_type = self._types[agent_type_of(commit.agent)]
        found = self._answers.of(agent_type, call, commit.effects[index], encoding)
        if found is None:
            self.unanswered.append(f"{commit.agent}@{commit.revision} {call.name}")
            return
        result, of_result = found
        self._put_caused(commit, result, of_result, commit.wall_us + LATENCY)


def _commit(due: _Due, decision: Decision[Any], fold: Fold[Any]) -> Commit[Any]:
    envelope, time = due.envelope, due.time
    if time <= fold.time:
        time = Timestamp(fold.time.micros, fold.time.counter + 1)
    commit: Commit[Any] = Commit(
        envelope.agent,
        fold.revision + 1,
        decision.outcome,
        _command(envelope),
        time,
        reason=decision.reason,
        error=decision.error,
        events=decision.events,
        effects=decision.effects,
        reply=decision.reply,
        previous_digest=fold.digest,
        sequence=fold.sequence + 1,
        wall=0 if due.wall == time.micros else due.wall,
        where=decision.where,
    )
    facts = (commit.agent, commit.wall_us, envelope.id, fold.digest)
    digest = record_digest(msgspec.json.encode(facts))
    msgspec.structs.force_setattr(commit, "digest", digest)
    return commit


def _command(envelope: Envelope) -> Command[Any]:
    """The command as it is recorded."""
    return Command(
        envelope.id,
        envelope.name,
        envelope.body,
        envelope.version,
        envelope.lane,
        sender=envelope.sender,
        number=envelope.number,
        correlation_id=envelope.correlation_id,
        causation_id=envelope.causation_id,
        deadline=envelope.deadline,
        timer=envelope.timer,
        call=envelope.call,
    )


def _envelope(each: Recorded) -> Envelope:
    """The command as it came from outside."""
    command = each.commit.command
    return Envelope(
        id=command.id,
        agent=each.commit.agent,
        name=command.name,
        body=command.body,
        version=command.version,
        lane=command.lane,
        sender=command.sender,
        number=command.number,
        correlation_id=command.correlation_id,
        causation_id=command.causation_id,
        deadline=command.deadline,
        timer=command.timer,
        call=command.call,
    )
