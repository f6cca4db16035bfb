"""From deliveries to commits ready to be appended: duplicate? → deadline → decide.

Pure: nothing is sent, awaited or asked here; time comes by argument, the fold is only read. Live
owners, simulated worlds, `verify` and `given` decide by the same `judge`. What waits goes in as a
batch, and comes out as a chain: bytes and integers cross this seam (deliveries in; records,
digests and verdicts out), so that another implementation may stand behind it.
"""

from collections.abc import Callable
from typing import Any, Final

import msgspec

from moonlet.agents.deciding.known import LOOK_UPS, known, known_number, with_more
from moonlet.agents.deciding.open_limits import within_limits
from moonlet.agents.deciding.queued_command import QueuedCommand
from moonlet.agents.deciding.rules import Rules, crashed
from moonlet.agents.deciding.verdict import LookUp, Verdict
from moonlet.agents.deciding.waiting import WaitingCommands
from moonlet.agents.definition import AgentType, Context, Moment
from moonlet.core.behavior import Decision, parked
from moonlet.core.codec import Encoding
from moonlet.core.commit import Command, Commit, Outcome
from moonlet.core.envelope import Envelope
from moonlet.core.errors import (
    InvalidMessage,
    MoonletError,
    PayloadTooLarge,
    UnknownCommand,
)
from moonlet.core.fold import Fold, body_digest, plain_body
from moonlet.core.hlc import MAX_AHEAD_US, Timestamp
from moonlet.core.ids import AgentId
from moonlet.core.marks import reached
from moonlet.core.memory import DOUBTED, WINDOW, sent_by_agent
from moonlet.core.protocol import misunderstood
from moonlet.core.schema import decode_plain
from moonlet.streams import Blocked, decode_envelope, encode_commit

CHAIN_MAX: Final = 256
"""Commands decided ahead of what is in flight: they are appended as one, all land, or none. A batch
takes milliseconds, however few they are, and deciding this many keeps others waiting for no more.
"""

CHAIN_BYTES: Final = 1_048_576
"""Bytes of records decided ahead from which no more are."""


class PendingCommit:
    """A commit that is ready to be appended, and what to do when it is.

    `record` is the message to append: payload and headers. `oversized`: it is over `limit` bytes,
    and has to be stored before the commit names it. `has_effects`: something of it is to be
    dispatched; a parked command goes to `parked`.
    """

    __slots__ = (
        "body",
        "commit",
        "digest",
        "encoding",
        "envelope",
        "has_effects",
        "oversized",
        "queued",
        "record",
        "stack",
        "state",
    )

    def __init__(
        self,
        queued: QueuedCommand,
        envelope: Envelope,
        commit: Commit[Any],
        state: Any,
        stack: str,
        body: str,
        limit: int,
    ) -> None:
        self.queued = queued
        self.envelope = envelope
        self.encoding: Encoding = queued.encoding
        self.commit = commit
        self.state = state
        self.stack = stack
        self.body = body
        self.record, self.digest = encode_commit(commit, queued.encoding)
        self.oversized = len(self.record[0]) > limit
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
        self.with_effects = 0
        self._looked = 0
        self._numbers: set[tuple[str, str, int]] | None = None
        self._highest: dict[tuple[str, str], int] | None = None

    def add(self, pending: PendingCommit) -> None:
        """The next commit; the one after it is decided on its state."""
        self.commits.append(pending)
        commit = pending.commit
        self.revision = commit.revision
        self.digest = pending.digest
        self.time = commit.time
        self.state = pending.state
        self.bytes += len(pending.record[0])
        if pending.has_effects:
            self.with_effects += 1

    def land(self) -> list[PendingCommit]:
        """Those in flight are stored: they leave the chain."""
        if self.flying < len(self.commits):
            return self._cut(0, self.flying)
        landed, self.commits = self.commits, []
        self.flying = self.with_effects = self._looked = 0
        self._numbers = self._highest = None
        return landed

    def drop_ahead(self) -> list[PendingCommit]:
        """What is not in flight leaves the chain, as if it had not been decided."""
        dropped = self._cut(self.flying, len(self.commits))
        self.bytes = 0
        if self.commits:
            last = self.commits[-1]
            self.revision = last.commit.revision
            self.digest = last.digest
            self.time = last.commit.time
            self.state = last.state
        return dropped

    def _cut(self, start: int, stop: int) -> list[PendingCommit]:
        cut = self.commits[start:stop]
        del self.commits[start:stop]
        if start == 0:
            self.flying = 0
        self.with_effects -= sum(pending.has_effects for pending in cut)
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
        for pending in self.commits[self._looked :]:
            envelope = pending.envelope
            heard = envelope.sender, envelope.lane
            numbers.add((*heard, envelope.number))
            highest[heard] = max(envelope.number, highest.get(heard, 0))
        self._looked = len(self.commits)
        if sent_by_agent(sender):
            return number <= highest.get((sender, lane), 0)
        return (sender, lane, number) in numbers


Settled = list[tuple[QueuedCommand, Verdict]]


def decide_ahead(
    rules: Rules,
    agent: AgentId,
    fold: Fold[Any],
    chain: CommitChain,
    waiting: WaitingCommands,
    first: QueuedCommand | None,
    *,
    most: int,
    effects_room: int,
    times: Callable[[], tuple[int, Timestamp]],
    dispatched: int,
    settled: Settled,
) -> Verdict | LookUp | None:
    """Decide `first`, or what waits, onto `chain`: up to `most` ahead of what is in flight.

    `effects_room` is how many commits with effects the chain may hold; `times` gives the wall
    clock in µs and the time of a commit. What earlier commits had dealt with is added to `settled`,
    in order. Returns READ_AGAIN, WAIT, LEFT or what has to be looked up, if that ended it. What is
    not decided waits as before.
    """
    while True:
        if first is not None:
            queued, first = first, None
        elif waiting.count:
            queued = waiting.take()
        else:
            return None
        if (
            len(chain.commits) - chain.flying >= most
            or chain.bytes >= CHAIN_BYTES
            or chain.with_effects >= effects_room
        ):
            waiting.put_back(queued)
            return None
        now_us, time = times()
        try:
            verdict = decide(
                rules, agent, fold, chain, queued,
                now_us=now_us, time=time, dispatched=dispatched,
            )  # fmt: skip
        except BaseException:  # ours: a handler's own are caught and park its command
            waiting.put_back(queued)
            raise
        if isinstance(verdict, PendingCommit):
            chain.add(verdict)
        elif verdict is Verdict.WAIT or verdict is Verdict.LEFT:
            waiting.put_back(queued)
            return verdict
        elif isinstance(verdict, LookUp):
            waiting.put_back(queued)
            for other in waiting.first(LOOK_UPS):
                if other.envelope is None:
                    _open(rules, agent, other)
            return with_more(fold, waiting, verdict)
        elif verdict is Verdict.READ_AGAIN:
            queued.sought = True
            waiting.put_back(queued)
            return verdict
        else:
            settled.append((queued, verdict))


def decide(
    rules: Rules,
    agent: AgentId,
    fold: Fold[Any],
    chain: CommitChain,
    queued: QueuedCommand,
    *,
    now_us: int,
    time: Timestamp,
    dispatched: int,
) -> PendingCommit | Verdict | LookUp:
    """Decide one delivery on the state after `chain`, the commits decided ahead of it.

    `now_us` is the wall clock, by which deadlines are judged, `time` the commit's time unless the
    chain's last is as late; `dispatched` is the revision up to which effects are known to be out.
    """
    envelope = queued.envelope or _open(rules, agent, queued)
    verdict = _known(fold, chain, queued, envelope)
    if verdict is not None:
        return verdict
    micros = time.micros
    if time <= chain.time or micros > now_us + MAX_AHEAD_US:
        time, micros = _times_apart(chain, time, now_us)
    state = chain.state
    problem = queued.problem
    if problem is None and (rules.fatal or rules.blocked):
        problem = _fatal(rules, queued.place, envelope)
    if problem is not None:
        decision = parked(state, problem)
    elif envelope.deadline and now_us > envelope.deadline:
        decision = Decision("expired", state, reason="the deadline passed before it was decided")
    else:
        decision = _judged(rules, state, envelope, queued, chain.revision, micros)
        if not queued.readable and rules.leave(envelope):
            return Verdict.LEFT
    if decision.effects:
        ahead = [pending.commit for pending in chain.commits]
        decision = within_limits(rules.agent_type, fold, ahead, decision, state)
    command = _command(envelope, queued)
    body = ""
    if (queued.by_id or not envelope.number) and not envelope.timer and not envelope.call:
        body = body_digest(command.name, plain_body(command.body))

    def pending(decision: "Decision[Any]") -> PendingCommit:  # quoted, or evaluated each time
        commit: Commit[Any] = Commit(
            agent=envelope.agent,
            revision=chain.revision + 1,
            outcome=decision.outcome,
            command=command,
            time=time,
            reason=decision.reason, error=decision.error,
            events=decision.events, effects=decision.effects,
            reply=decision.reply,
            app_version=rules.app_version,
            previous_digest=chain.digest,
            dispatched=dispatched,
            wall=micros if micros != time.micros else 0,
            epoch=rules.epoch, repaired=fold.repaired, where=decision.where,
        )  # fmt: skip
        return PendingCommit(
            queued, envelope, commit, decision.state, decision.stack, body, rules.record_limit
        )

    try:
        return pending(decision)
    except PayloadTooLarge as error:
        return pending(parked(state, error))


def _times_apart(chain: CommitChain, time: Timestamp, now_us: int) -> tuple[Timestamp, int]:
    """The commit's time where a clock was ahead, and the decision's, which goes far with none."""
    if time <= chain.time:
        reached("a commit's time is that of the one before, and a bit")
        time = Timestamp(chain.time.micros, chain.time.counter + 1)
    if time.micros <= now_us + MAX_AHEAD_US:
        return time, time.micros
    reached("an agent's time is ahead of the wall clock")
    return time, now_us


def _judged(
    rules: Rules, state: Any, envelope: Envelope, queued: QueuedCommand, revision: int, micros: int
) -> Decision[Any]:
    """What the handler decides; now and then it is watched that it leaves the state as it was."""
    watch, name, picture = rules.watch, envelope.name, None
    if watch is not None and name in watch.due:
        watch.due[name] -= 1
        picture = watch.before(state) if watch.due[name] < 0 else None
    queued.revision = revision
    rules.running.work = queued
    try:
        decision, queued.readable = judge(
            rules.agent_type, state, envelope, queued.encoding, revision=revision, micros=micros
        )
    finally:
        rules.running.work = None
    if picture is not None and watch is not None:
        watch.decided(envelope, decision, state, picture)
    return decision


def judge(
    agent_type: AgentType[Any],
    state: Any,
    envelope: Envelope,
    encoding: Encoding,
    *,
    revision: int,
    micros: int,
    yielded: list[Any] | None = None,
) -> tuple[Decision[Any], bool]:
    """What the code makes of a command on `state`, at `revision`; also whether its body was read.

    `micros` is the commit's time; `yielded` takes what is yielded. Raises nothing of a handler's.
    """
    handler = agent_type.behavior.commands.get(envelope.name)
    # Of a result or a firing that can't be dealt with nobody would hear: it is no sender's mistake.
    refused: Outcome = "parked" if envelope.call or envelope.timer else "rejected"
    if handler is None:
        error = UnknownCommand(agent_type.unknown_command(envelope.name))
        return Decision(refused, state, reason=str(error), error="UnknownCommand"), False
    try:
        command = handler.message.decode(envelope.body, envelope.version, encoding)
    except InvalidMessage as invalid:
        return Decision(refused, state, reason=str(invalid), error="InvalidMessage"), False
    except BaseException as error:  # a validator's, or an upcast's
        return parked(state, error), False
    context: Context | Moment = Moment(micros)
    if handler.wants_context:
        context = Context(
            self_id=envelope.agent,
            revision=revision,
            now_us=micros,
            command_id=envelope.id,
            sender=envelope.sender,
            correlation_id=envelope.correlation_id or envelope.id,
        )
    return agent_type.behavior.decide(state, handler, command, context, encoding, yielded), True


def _open(rules: Rules, agent: AgentId, queued: QueuedCommand) -> Envelope:
    """The envelope of a delivery; for foreign bytes one that names where they stand."""
    delivery = queued.delivery
    try:
        envelope, queued.encoding = decode_envelope(delivery.data, delivery.encoding)
        if envelope.agent != f"{agent.type}/{agent.key}":
            raise InvalidMessage(f"the message is addressed to {envelope.agent!r:.200}")
        # as `sent_by_agent` has it, without a call for each command
        if envelope.timer or envelope.call or "/" in envelope.sender:
            envelope = _trusted(rules, envelope, queued.source.stream)
        if delivery.protocol is not None:
            queued.problem = misunderstood(delivery.protocol)
    except (InvalidMessage, PayloadTooLarge) as error:
        queued.problem = error
        envelope = Envelope(
            id=f"foreign:{queued.place}",
            agent=str(agent),
            name="?",
            body=msgspec.Raw(b"null"),
        )
        queued.encoding = "json"
    queued.envelope = envelope
    return envelope


def _trusted(rules: Rules, envelope: Envelope, stream: str) -> Envelope:
    """Only the timer stream fires timers, only the internal queue brings results, or is agents'."""
    replace: dict[str, Any] = {}
    if sent_by_agent(envelope.sender) and stream not in (rules.timers, rules.internal):
        replace = {"sender": "", "number": 0}
    if envelope.timer and stream != rules.timers:
        replace |= {"timer": "", "number": 0}
    if envelope.call and stream != rules.internal:
        replace |= {"call": "", "number": 0}
    return msgspec.structs.replace(envelope, **replace) if replace else envelope


def _known(
    fold: Fold[Any], chain: CommitChain, queued: QueuedCommand, envelope: Envelope
) -> Verdict | LookUp | None:
    """Whether an earlier commit dealt with it; WAIT if only the fold after `chain` can say."""
    number, ahead = envelope.number, chain.commits
    if envelope.timer or envelope.call or not number:
        return Verdict.WAIT if ahead else known(fold, queued, envelope)
    window = fold.windows.of.get((envelope.sender, envelope.lane))
    verdict = None
    if window is None or number <= window[0]:
        verdict = known_number(fold, queued, envelope, ahead=bool(ahead))
    elif window[1] and (
        fold.past.any or number - window[0] > WINDOW or window[1] >= DOUBTED
    ):  # of a client: an agent's is newer than all, wherever they are
        verdict = known_number(fold, queued, envelope, ahead=bool(ahead))
    if verdict is None and ahead and chain.holds(envelope.sender, envelope.lane, number):
        return Verdict.WAIT
    return verdict


def _fatal(rules: Rules, place: str, envelope: Envelope) -> MoonletError | None:
    """The reason to park a command that ended hosts; None if it did not."""
    if rules.fatal == place:
        return crashed()
    mark = rules.blocked.get(place)
    return None if mark is None else _blocked(mark, envelope)


def _blocked(mark: Blocked, envelope: Envelope) -> MoonletError | None:
    """The reason to park a command that kept its host's loop; None if another stands there now."""
    if mark.id != envelope.id:
        return None
    reached("a command is parked since it blocked its host")
    error = MoonletError(
        f"its handler ran for over {mark.limit:g} s, so the process of its host was ended; look at"
        " the handler before it is sent again"
    )
    if mark.stack:
        error.add_note(mark.stack)
    return error


def _command(envelope: Envelope, queued: QueuedCommand) -> Command[Any]:
    """The command as it is recorded; a body that no reader could decode is left out."""
    body: Any = envelope.body
    if not queued.readable:
        try:
            decode_plain(bytes(envelope.body), queued.encoding)
        except InvalidMessage:
            body = None
    return Command(
        id=envelope.id,
        name=envelope.name,
        body=body,
        version=envelope.version,
        lane=envelope.lane,
        sequence=queued.delivery.sequence,
        sender=envelope.sender,
        number=envelope.number,
        correlation_id=envelope.correlation_id or envelope.id,
        causation_id=envelope.causation_id,
        traceparent=envelope.traceparent,
        deadline=envelope.deadline,
        timer=envelope.timer,
        call=envelope.call,
        by_id=queued.by_id,
        stored=queued.delivery.time // 1_000,
    )
