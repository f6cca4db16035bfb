"""From deliveries to commits ready to be appended: duplicate? → deadline → decide.

Pure: nothing is sent, awaited or asked here; time comes by argument, the fold is only read. Live
owners, simulated worlds, `verify` and `given` decide by the same `judge`. What waits goes in as a
batch, and comes out as a chain: bytes and integers cross this seam (deliveries in; records,
digests and verdicts out), so that another implementation may stand behind it.
"""

from collections.abc import Callable
from enum import IntEnum
from typing import Any, Final

import msgspec

from moonlet.agents.deciding.commit_chain import CommitChain, PendingCommit
from moonlet.agents.deciding.queued_command import QueuedCommand
from moonlet.agents.deciding.rules import Rules
from moonlet.agents.deciding.waiting import WaitingCommands
from moonlet.agents.definition import AgentType, Context
from moonlet.core.behavior import Decision, parked
from moonlet.core.codec import ENCODING_HEADER, Encoding
from moonlet.core.commit import Command, Commit, Effect
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
from moonlet.streams import decode_envelope

CHAIN_MAX: Final = 256
"""Commands decided ahead of what is in flight: they are appended as one, all land, or none. A batch
takes milliseconds, however few they are, and deciding this many keeps others waiting for no more.
"""

CHAIN_BYTES: Final = 1_048_576
"""Bytes of records decided ahead from which no more are."""


OPEN_MAX: Final = 256
"""Timers, and calls, that one agent may have open."""


class Verdict(IntEnum):
    """What else may come of a delivery than a commit."""

    DONE = 1
    """An earlier commit dealt with it; nobody waits for an answer (a firing, a result)."""

    ANSWER_AGAIN = 2
    """An earlier commit dealt with it: its sender is answered as then."""

    CONFLICT = 3
    """An earlier commit dealt with another command of this id."""

    WAIT = 4
    """Only the fold after the chain can say: it is decided when that has landed."""

    READ_AGAIN = 5
    """A commit that the fold doesn't have caused it, so what the fold lacks says nothing."""


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
) -> Verdict | None:
    """Decide `first`, or what waits, onto `chain`: up to `most` ahead of what is in flight.

    `effects_room` is how many commits with effects the chain may hold; `times` gives the wall
    clock in µs and the time of a commit. What earlier commits had dealt with is added to `settled`,
    in order. Returns READ_AGAIN or WAIT if that ended it. What is not decided waits as before.
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
        elif verdict is Verdict.WAIT:
            waiting.put_back(queued)
            return verdict
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
) -> PendingCommit | Verdict:
    """Decide one delivery on the state after `chain`, the commits decided ahead of it.

    `now_us` is the wall clock, by which deadlines are judged, `time` the commit's time unless the
    chain's last is as late; `dispatched` is the revision up to which effects are known to be out.
    """
    envelope = queued.envelope
    if envelope is None:
        envelope = _open(rules, agent, queued)
    verdict = _known(fold, chain, queued, envelope)
    if verdict is not None:
        return verdict
    if time <= chain.time:  # a former owner's clock was far ahead
        reached("a commit's time is that of the one before, and a bit")
        time = Timestamp(chain.time.micros, chain.time.counter + 1)
    state = chain.state
    problem = queued.problem
    if problem is None and rules.fatal and rules.fatal == queued.place:
        problem = _crashed()
    if problem is not None:
        decision = parked(state, problem)
    elif envelope.deadline and now_us > envelope.deadline:
        decision = Decision("expired", state, reason="the deadline passed before it was decided")
    else:
        decision, queued.readable = judge(
            rules.agent_type,
            state,
            envelope,
            queued.encoding,
            revision=chain.revision,
            micros=time.micros,
        )
    if decision.effects:
        decision = _bounded(fold, chain, decision, state)
    command = _command(envelope, queued)
    body = ""
    if not envelope.number and not envelope.timer and not envelope.call:
        body = body_digest(command.name, plain_body(command.body))

    def pending(decision: "Decision[Any]") -> PendingCommit:  # quoted, or evaluated each time
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
            app_version=rules.app_version,
            previous_digest=chain.digest,
            dispatched=dispatched,
        )
        return PendingCommit(
            queued, envelope, commit, decision.state, decision.stack, body, rules.record_limit
        )

    try:
        return pending(decision)
    except PayloadTooLarge as error:
        return pending(parked(state, error))


class Moment(msgspec.Struct, gc=False):
    """The context of a handler that takes none: what `behavior.decide` itself needs of it."""

    now_us: int


def judge(
    agent_type: AgentType[Any],
    state: Any,
    envelope: Envelope,
    encoding: Encoding,
    *,
    revision: int,
    micros: int,
) -> tuple[Decision[Any], bool]:
    """What the code makes of a command on `state`, at `revision`; also whether its body was read.

    `micros` is the commit's time. Raises nothing of a handler's own.
    """
    handler = agent_type.behavior.commands.get(envelope.name)
    if handler is None:
        error = UnknownCommand(agent_type.unknown_command(envelope.name))
        return Decision("rejected", state, reason=str(error), error="UnknownCommand"), False
    try:
        command = handler.message.decode(envelope.body, envelope.version, encoding)
    except InvalidMessage as invalid:
        return Decision("rejected", state, reason=str(invalid), error="InvalidMessage"), False
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
    return agent_type.behavior.decide(state, handler, command, context, encoding), True


def _open(rules: Rules, agent: AgentId, queued: QueuedCommand) -> Envelope:
    """The envelope of a delivery; for foreign bytes one that names where they stand."""
    delivery = queued.delivery
    headers = delivery.headers
    try:
        envelope, queued.encoding = decode_envelope(
            delivery.data, headers.get(ENCODING_HEADER) if headers else None
        )
        if envelope.agent != f"{agent.type}/{agent.key}":
            raise InvalidMessage(f"the message is addressed to {envelope.agent!r:.200}")
        if envelope.timer or envelope.call:
            envelope = _trusted(rules, envelope, queued.source.stream)
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
    """Only the timer stream fires timers, and only the internal queue brings results."""
    replace: dict[str, Any] = {}
    if envelope.timer and stream != rules.timers:
        replace = {"timer": "", "number": 0}
    if envelope.call and stream != rules.internal:
        replace |= {"call": "", "number": 0}
    return msgspec.structs.replace(envelope, **replace) if replace else envelope


def _known(
    fold: Fold[Any], chain: CommitChain, queued: QueuedCommand, envelope: Envelope
) -> Verdict | None:
    """Whether an earlier commit dealt with it; WAIT if only the fold after `chain` can say."""
    number = envelope.number
    if envelope.timer or envelope.call or not number:
        if chain.commits:
            return Verdict.WAIT
        if envelope.timer:
            timer = fold.timers.get(envelope.timer)
            if timer is not None and timer.revision == number:
                return None
            return _absent(fold, queued, number)
        if envelope.call:
            if envelope.call in fold.calls:
                return None
            return _absent(fold, queued, revision_of(envelope.call))
        seen = fold.ids.get(envelope.id)
        if seen is None:
            return None
        same = seen.body == body_digest(envelope.name, plain_body(envelope.body))
        return Verdict.ANSWER_AGAIN if same else Verdict.CONFLICT
    if fold.windows.has(envelope.sender, envelope.lane, number):
        return Verdict.ANSWER_AGAIN
    if chain.commits and chain.holds(envelope.sender, envelope.lane, number):
        return Verdict.WAIT
    return None


def _absent(fold: Fold[Any], queued: QueuedCommand, revision: int) -> Verdict:
    """What it means that the timer or call of that revision is not open.

    A former owner may have committed after we read the journal (found by simulation).
    """
    return Verdict.DONE if revision <= fold.revision or queued.sought else Verdict.READ_AGAIN


def _crashed() -> MoonletError:
    """The reason to park a command that the last two owners died deciding."""
    reached("a command is parked since hosts died of it")
    return MoonletError(
        "its decision ended the process of three hosts; look at the handler before it is sent again"
    )


def _bounded(
    fold: Fold[Any], chain: CommitChain, decision: Decision[Any], state: Any
) -> Decision[Any]:
    """Park what would leave more timers or calls open than an agent may have."""
    ahead = [effect for pending in chain.commits for effect in pending.commit.effects]
    error = _over_limits([*ahead, *decision.effects], len(fold.timers), len(fold.calls))
    return decision if error is None else parked(state, error)


def _over_limits(
    effects: list[Effect[msgspec.Raw]], timers: int, calls: int
) -> LimitExceeded | None:
    """What to say when these effects, beside what is open, are more than an agent may have open."""
    for kind, what, opened in (("schedule", "timers", timers), ("perform", "calls", calls)):
        asked = sum(effect.kind == kind for effect in effects)
        if asked and opened + asked > OPEN_MAX:
            return LimitExceeded(
                f"over {OPEN_MAX} open {what} of one agent: cancel some, or spread the work over"
                " more agents",
                limit=OPEN_MAX,
                value=opened + asked,
            )
    return None


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
        correlation_id=envelope.correlation_id,
        causation_id=envelope.causation_id,
        traceparent=envelope.traceparent,
        deadline=envelope.deadline,
        timer=envelope.timer,
        call=envelope.call,
    )
