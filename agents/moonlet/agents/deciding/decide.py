"""From a delivery to a commit ready to be appended: duplicate? → deadline → decide.

Pure but for the host's clock: nothing is sent here, and the fold is only read.
"""

from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

import msgspec

from moonlet.agents.definition.context import Context
from moonlet.core.behavior import Decision, parked
from moonlet.core.codec import ENCODING_HEADER, Encoding
from moonlet.core.commit import Command, Commit
from moonlet.core.envelope import Envelope
from moonlet.core.errors import (
    InvalidMessage,
    LimitExceeded,
    MoonletError,
    PayloadTooLarge,
    UnknownCommand,
)
from moonlet.core.fold import Fold, body_digest, plain_body, revision_of
from moonlet.core.hlc import Timestamp
from moonlet.core.ids import AgentId
from moonlet.core.marks import reached
from moonlet.core.schema import decode_plain
from moonlet.core.windows import sent_by_agent
from moonlet.streams import Delivery, Intake, decode_envelope, encode_commit

if TYPE_CHECKING:
    from moonlet.agents.owner.owned_partition import OwnedPartition

OPEN_MAX: Final = 256
"""Timers, and calls, that one agent may have open."""

RECORD_MARGIN: Final = 2_048
"""Bytes of a commit's message that its headers take at most; a larger record stands apart."""


class Verdict(Enum):
    """What else may come of a delivery: an earlier commit dealt with it, or it has to wait.

    AHEAD: a commit that the fold doesn't have caused it, so what the fold lacks says nothing.
    """

    DONE = "done"
    LATER = "later"
    AHEAD = "ahead"


class QueuedCommand:
    """A delivery in an agent's queue; `credited` if it holds a credit of its intake.

    `problem` is set when it is no envelope, `readable` when its body was decoded by its class,
    `sought` when the journal was read again for the commit that caused it.
    """

    __slots__ = (
        "credited", "delivery", "encoding", "envelope", "intake", "problem", "readable", "sought",
    )  # fmt: skip

    def __init__(self, intake: Intake, delivery: Delivery, credited: bool) -> None:
        self.intake = intake
        self.delivery = delivery
        self.credited = credited
        self.envelope: Envelope | None = None
        self.problem: MoonletError | None = None
        self.readable = False
        self.sought = False
        self.encoding: Encoding = "json"

    def acknowledge(self) -> None:
        """Its command is committed and its effects are out."""
        self.intake.acknowledge(self.delivery.reply, credited=self.credited)


class PendingCommit:
    """A commit that is ready to be appended, and what to do when it is.

    `apart`: its record is over `limit` bytes, and has to be stored before the commit names it.
    `has_effects`: something of it is to be dispatched; a parked command goes to `parked`.
    """

    __slots__ = (
        "apart",
        "body",
        "commit",
        "digest",
        "encoding",
        "envelope",
        "has_effects",
        "item",
        "lane",
        "record",
        "stack",
        "state",
    )

    def __init__(
        self,
        item: QueuedCommand,
        envelope: Envelope,
        commit: Commit[Any],
        state: Any,
        stack: str,
        body: str,
        limit: int,
    ) -> None:
        self.item = item
        self.envelope = envelope
        self.encoding: Encoding = item.encoding
        self.commit = commit
        self.state = state
        self.stack = stack
        self.body = body
        self.lane = 0
        self.record, self.digest = encode_commit(commit, item.encoding)
        self.apart = len(self.record[0]) > limit
        self.has_effects = bool(commit.effects) or commit.outcome == "parked"


class CommitChain:
    """Commits of one agent that are decided and not known to be stored.

    The first `flying` of them are being appended, all or none; those `ahead` are decided on them,
    and wait until they have landed. `state` and the rest of its head are after all of them.
    """

    __slots__ = (
        "_highest",
        "_looked",
        "_numbers",
        "apart",
        "bytes",
        "commits",
        "digest",
        "flying",
        "revision",
        "state",
        "time",
        "with_effects",
    )

    def __init__(self, fold: Fold[Any]) -> None:
        self.commits: list[PendingCommit] = []
        self.flying = 0
        self.revision = fold.revision
        self.digest = fold.digest
        self.time = fold.time
        self.state = fold.state
        self.bytes = 0
        self.apart = False
        self.with_effects = 0
        self._looked = 0
        self._numbers: set[tuple[str, str, int]] | None = None
        self._highest: dict[tuple[str, str], int] | None = None

    @property
    def ahead(self) -> int:
        """How many wait for those in flight."""
        return len(self.commits) - self.flying

    def add(self, decided: PendingCommit) -> None:
        """The next commit; the one after it is decided on its state."""
        self.commits.append(decided)
        self._head(decided)
        self.bytes += len(decided.record[0])
        if decided.apart:
            self.apart = True
        if decided.has_effects:
            self.with_effects += 1

    def _head(self, last: PendingCommit) -> None:
        self.revision = last.commit.revision
        self.digest = last.digest
        self.time = last.commit.time
        self.state = last.state

    def fly(self) -> list[PendingCommit]:
        """All of them are being appended from now on; `apart` says whether one needs it."""
        assert not self.flying
        self.flying = len(self.commits)
        self.bytes = 0
        return self.commits[:]

    def land(self) -> list[PendingCommit]:
        """Those in flight are stored: they leave the chain."""
        if self.flying < len(self.commits):
            return self._cut(0, self.flying)
        landed, self.commits = self.commits, []
        self.flying = self.with_effects = 0
        self._forget_numbers()
        return landed

    def drop_ahead(self) -> list[PendingCommit]:
        """What is not in flight leaves the chain, as if it had not been decided."""
        dropped = self._cut(self.flying, len(self.commits))
        self.bytes = 0
        if self.commits:
            self._head(self.commits[-1])
        return dropped

    def _cut(self, start: int, stop: int) -> list[PendingCommit]:
        cut = self.commits[start:stop]
        del self.commits[start:stop]
        if start == 0:
            self.flying = 0
        self.with_effects -= sum(decided.has_effects for decided in cut)
        self._forget_numbers()
        return cut

    def _forget_numbers(self) -> None:
        self._looked = 0
        self._numbers = self._highest = None

    def holds(self, sender: str, lane: str, number: int) -> bool:
        """Whether one of its commits is of this number, or of a later one of an agent."""
        numbers, highest = self._numbers, self._highest
        if numbers is None or highest is None:
            numbers, highest = self._numbers, self._highest = set(), {}
        for decided in self.commits[self._looked :]:
            envelope = decided.envelope
            heard = envelope.sender, envelope.lane
            numbers.add((*heard, envelope.number))
            highest[heard] = max(envelope.number, highest.get(heard, 0))
        self._looked = len(self.commits)
        if sent_by_agent(sender):
            return number <= highest.get((sender, lane), 0)
        return (sender, lane, number) in numbers


def judge(
    partition: "OwnedPartition",
    agent: AgentId,
    fold: Fold[Any],
    chain: CommitChain,
    item: QueuedCommand,
    dispatched: Callable[[int], int],
) -> "PendingCommit | Verdict":
    """Decide one delivery on the state after `chain`, the commits decided ahead of it."""
    envelope = item.envelope
    if envelope is None:
        envelope = _open(partition, agent, item)
    verdict = _known(partition, fold, chain, item, envelope)
    if verdict is not None:
        return verdict
    state = chain.state
    services = partition.services
    now = services.bus.clock.now_us()
    time = services.hlc.tick(now)
    if time <= chain.time:  # a former owner's clock was far ahead
        reached("a commit's time is that of the one before, and a bit")
        time = Timestamp(chain.time.micros, chain.time.counter + 1)
    problem = item.problem
    if problem is None and partition.noted:
        problem = partition.crashed_by(item)
    if problem is not None:
        decision = parked(state, problem)
    elif envelope.deadline and now > envelope.deadline:
        decision = Decision("expired", state, reason="the deadline passed before it was decided")
    else:
        decision = _decide(partition, agent, envelope, item, state, chain.revision, time.micros)
    if decision.effects:
        decision = _bounded(fold, chain, decision, state)
    command = _command(envelope, item)
    body = ""
    if not envelope.number and not envelope.timer and not envelope.call:
        body = body_digest(command.name, plain_body(command.body))
    limit = services.bus.max_payload - RECORD_MARGIN

    def commit_of(
        decision: "Decision[Any]",
    ) -> PendingCommit:  # quoted, or evaluated for each command
        commit: Commit[Any] = Commit(
            agent=envelope.agent,
            revision=chain.revision + 1,
            outcome=decision.outcome,
            command=command,
            time=time,
            reason=decision.reason,
            error=decision.error,
            events=decision.events,
            effects=decision.effects,
            reply=decision.reply,
            app_version=services.app_version,
            previous_digest=chain.digest,
            dispatched=dispatched(fold.revision),
        )
        return PendingCommit(item, envelope, commit, decision.state, decision.stack, body, limit)

    try:
        return commit_of(decision)
    except PayloadTooLarge as error:
        return commit_of(parked(state, error))


def _open(partition: "OwnedPartition", agent: AgentId, item: QueuedCommand) -> Envelope:
    """The envelope of a delivery; for foreign bytes one that names where they stand."""
    delivery = item.delivery
    headers = delivery.headers
    try:
        envelope, item.encoding = decode_envelope(
            delivery.data, headers.get(ENCODING_HEADER) if headers else None
        )
        if envelope.agent != f"{agent.type}/{agent.key}":
            raise InvalidMessage(f"the message is addressed to {envelope.agent!r:.200}")
        if envelope.timer or envelope.call:
            envelope = _trusted(partition, envelope, item.intake.stream)
    except (InvalidMessage, PayloadTooLarge) as error:
        item.problem = error
        envelope = Envelope(
            id=f"foreign:{item.intake.stream}:{delivery.sequence}",
            agent=str(agent),
            name="?",
            body=msgspec.Raw(b"null"),
        )
        item.encoding = "json"
    item.envelope = envelope
    return envelope


def _trusted(partition: "OwnedPartition", envelope: Envelope, stream: str) -> Envelope:
    """Only the timer stream fires timers, and only the internal queue brings results."""
    replace: dict[str, Any] = {}
    if envelope.timer and stream != partition.timer_stream:
        replace = {"timer": "", "number": 0}
    if envelope.call and stream != partition.internal_stream:
        replace |= {"call": "", "number": 0}
    return msgspec.structs.replace(envelope, **replace) if replace else envelope


def _absent(fold: Fold[Any], item: QueuedCommand, revision: int) -> Verdict:
    """What it means that the timer or call of that revision is not open.

    A former owner may have committed after we read the journal (found by simulation).
    """
    return Verdict.DONE if revision <= fold.revision or item.sought else Verdict.AHEAD


def _known(
    partition: "OwnedPartition",
    fold: Fold[Any],
    chain: CommitChain,
    item: QueuedCommand,
    envelope: Envelope,
) -> Verdict | None:
    """Whether an earlier commit dealt with it; LATER if only the fold after `chain` can say."""
    number = envelope.number
    if envelope.timer or envelope.call or not number:
        if chain.commits:
            return Verdict.LATER
        if envelope.timer:
            timer = fold.timers.get(envelope.timer)
            if timer is not None and timer.revision == number:
                return None
            return _absent(fold, item, number)
        if envelope.call:
            if envelope.call in fold.calls:
                return None
            return _absent(fold, item, revision_of(envelope.call))
        seen = fold.ids.get(envelope.id)
        if seen is None:
            return None
        same = seen.body == body_digest(envelope.name, plain_body(envelope.body))
        partition.answer_again(item, envelope, conflict=not same)
        return Verdict.DONE
    if fold.windows.has(envelope.sender, envelope.lane, number):
        partition.answer_again(item, envelope, conflict=False)
        return Verdict.DONE
    if chain.commits and chain.holds(envelope.sender, envelope.lane, number):
        return Verdict.LATER
    return None


def _decide(
    partition: "OwnedPartition",
    agent: AgentId,
    envelope: Envelope,
    item: QueuedCommand,
    state: Any,
    revision: int,
    now_us: int,
) -> Decision[Any]:
    agent_type = partition.agent_type
    handler = agent_type.behavior.commands.get(envelope.name)
    if handler is None:
        error = UnknownCommand(agent_type.unknown_command(envelope.name))
        return Decision("rejected", state, reason=str(error), error="UnknownCommand")
    try:
        command = handler.message.decode(
            envelope.body,
            envelope.version,
            item.encoding,
        )
    except InvalidMessage as invalid:
        return Decision("rejected", state, reason=str(invalid), error="InvalidMessage")
    item.readable = True
    context = Context(
        self_id=str(agent),
        revision=revision,
        now_us=now_us,
        command_id=envelope.id,
        sender=envelope.sender,
        correlation_id=envelope.correlation_id or envelope.id,
    )
    return agent_type.behavior.decide(state, handler, command, context, item.encoding)


def _bounded(
    fold: Fold[Any], chain: CommitChain, decision: Decision[Any], state: Any
) -> Decision[Any]:
    """Park what would leave more timers or calls open than an agent may have."""
    ahead = [effect for decided in chain.commits for effect in decided.commit.effects]
    for kind, opened in (("schedule", len(fold.timers)), ("perform", len(fold.calls))):
        asked = sum(effect.kind == kind for effect in (*ahead, *decision.effects))
        if asked and opened + asked > OPEN_MAX:
            return parked(
                state,
                LimitExceeded(
                    f"over {OPEN_MAX} open {'timers' if kind == 'schedule' else 'calls'} of one"
                    " agent: cancel some, or spread the work over more agents",
                    limit=OPEN_MAX,
                    value=opened + asked,
                ),
            )
    return decision


def _command(envelope: Envelope, item: QueuedCommand) -> Command[Any]:
    """The command as it is recorded; a body that no reader could decode is left out."""
    body: Any = envelope.body
    if not item.readable:
        try:
            decode_plain(bytes(envelope.body), item.encoding)
        except InvalidMessage:
            body = None
    return Command(
        id=envelope.id,
        name=envelope.name,
        body=body,
        version=envelope.version,
        lane=envelope.lane,
        sequence=item.delivery.sequence,
        sender=envelope.sender,
        number=envelope.number,
        correlation_id=envelope.correlation_id,
        causation_id=envelope.causation_id,
        traceparent=envelope.traceparent,
        deadline=envelope.deadline,
        timer=envelope.timer,
        call=envelope.call,
    )
