"""One live agent: recover → run → rest. It takes commands from a queue, whoever put them in.

How it goes through its phases (`Phase`, whose table holds which steps there are):

COLD → RECOVERING at the first command or question. RECOVERING → RUNNING when the fold is read and
effects that may not be out have been sent again, → BROKEN if a record can't be read. RUNNING →
APPENDING when a command is decided and its commit sent off; APPENDING → RUNNING when all that was
decided has landed, → BLOCKED if the journal is full, → COLD and RECOVERING if another commit came
first or nothing is known of it. RUNNING, BLOCKED → DOUBTING when the server was away. An order to
stop is carried out as soon as nothing of the agent is in flight, then it is STOPPED.

Hot path: a delivery is offered, decided at once if the agent is warm and nothing of it is in
flight, and appended; while that append is in flight the queue fills, and what waits then goes as
one chain. No task, future or lock is made for it.
"""

import asyncio
from functools import partial
from typing import Any, Final

import msgspec

from moonlet.agents.deciding import (
    CHAIN_MAX,
    CommitChain,
    HeldCommand,
    LookUp,
    PendingCommit,
    QueuedCommand,
    Settled,
    Source,
    Verdict,
    WaitingCommands,
    decide_ahead,
)
from moonlet.agents.effects import COMMITS_MAX, Outbox, indexes_to_dispatch, open_indexes
from moonlet.agents.live.owner import Owner
from moonlet.agents.live.phases import TRANSITIONS, Phase
from moonlet.agents.recovery import Recovered
from moonlet.core.errors import Conflict, LimitExceeded, MoonletError
from moonlet.core.fold import Fold
from moonlet.core.ids import AgentId
from moonlet.core.marks import reached
from moonlet.streams import Delivery
from moonlet.telemetry import get_logger

log = get_logger(__name__)

_set: Final = msgspec.structs.force_setattr

QUEUE_MAX: Final = 1_024
"""Deliveries that an agent keeps in memory; of more only sequence and reply are kept."""


class LiveAgent:
    """One agent of an owned partition. At most one append of it is in flight."""

    __slots__ = (
        "_chain",
        "_outbox",
        "_owner",
        "_reading",
        "_waiting",
        "error",
        "fold",
        "held",
        "id",
        "last_used",
        "looking",
        "phase",
        "snapshot_bytes",
        "snapshot_due",
        "snapshot_revision",
        "stopped",
        "tail_bytes",
    )

    def __init__(self, id: AgentId, owner: Owner["LiveAgent"], *, stopped: bool = False) -> None:
        self.id = id
        self._owner = owner
        self.fold: Fold[Any] | None = None
        self.phase = Phase.STOPPED if stopped else Phase.COLD
        self.stopped = stopped  # ordered to; it may have something in flight still
        self.error: MoonletError | None = None
        self.held: list[HeldCommand] | None = None
        self.last_used = 0.0
        self.looking = False  # something is looked up, without which nothing more is decided
        self.snapshot_revision = self.snapshot_bytes = self.snapshot_due = self.tail_bytes = 0
        self._waiting = WaitingCommands()
        self._chain: CommitChain | None = None
        self._outbox: Outbox | None = None
        self._reading: asyncio.Task[None] | None = None

    def _enter(self, phase: Phase) -> None:
        assert phase in TRANSITIONS[self.phase], (self.id, self.phase, phase)
        self.phase = phase

    # taking commands

    def offer(self, lane: int, source: Source, delivery: Delivery, credited: bool = True) -> None:
        """Take one delivery; never raises. What can't be kept in memory is read back later."""
        waiting = self._waiting
        if self.held or self.stopped or waiting.count >= QUEUE_MAX or self.phase is Phase.BROKEN:
            if self.held is None:
                reached("an agent has more deliveries than it keeps in memory")
                self.held = []
            self.held.append(HeldCommand(source, lane, delivery.sequence, delivery.reply))
            if credited:
                source.release()
            return
        queued = QueuedCommand(source, delivery, lane, credited)
        if not waiting.count and self._may_decide():
            self._decide(queued)
        else:
            waiting.add(queued)
            self.wake()

    def take_back(self, queued: QueuedCommand) -> None:
        """One held delivery that was read back."""
        self._waiting.add(queued)

    # running

    def wake(self) -> None:
        """Go on if there is anything to do."""
        if self.phase is Phase.COLD:
            self._read()
        elif self._waiting.count:
            if self._may_decide():
                self._decide(None)
            elif self.ready and self._owner.guarded:
                self._owner.line_up(self)

    def _may_decide(self) -> bool:
        """Whether a command may be decided, perhaps ahead of what is in flight."""
        going_on = self.phase is Phase.RUNNING or self.phase is Phase.APPENDING
        return going_on and not self.stopped and not self.looking and not self._owner.guarded

    def decide_one(self) -> bool:
        """Decide and append one command, as a guarded owner has it; False if none waits."""
        if not self.ready:
            return False
        self._decide(None, most=1)
        return self._chain is not None

    def peek(self) -> QueuedCommand | None:
        """The delivery that would be decided next, for the note of a guarded owner."""
        return self._waiting.peek()

    def _decide(self, first: QueuedCommand | None, *, most: int | None = None) -> None:
        """Decide `first`, or what waits, as far ahead as may be; append it if nothing is in flight.

        What is decided on commits in flight is held until they have landed: it must not be seen
        by anybody before that, and is dropped with them.
        """
        fold, owner, outbox = self.fold, self._owner, self._outbox
        assert fold is not None
        chain = self._chain or CommitChain(fold)
        settled: Settled = []
        verdict: Verdict | LookUp | None = None
        broken: BaseException | None = None
        try:
            verdict = decide_ahead(
                owner.rules,
                self.id,
                fold,
                chain,
                self._waiting,
                first,
                most=most or CHAIN_MAX,
                effects_room=COMMITS_MAX if outbox is None else outbox.room_left,
                times=owner.times,
                dispatched=fold.revision if outbox is None else outbox.dispatched(fold.revision),
                settled=settled,
            )
        except BaseException as error:  # ours: a handler's own are caught and park its command
            broken = error
        for queued, dealt in settled:
            self._settle(queued, dealt)
        if isinstance(verdict, LookUp):
            self.looking = True
            owner.look_up(self, verdict)
        elif verdict is Verdict.LEFT:
            self.looking = True
            owner.leave(self)
        if broken is not None:
            self._chain = chain
            self.break_down(MoonletError(f"deciding failed: {broken!r}; report this bug"))
        elif verdict is Verdict.READ_AGAIN:  # the chain is empty: it would have had to land first
            self.reread()
        elif chain.commits:
            self._chain = chain
            if not chain.flying:
                self._append(chain)
        elif self.held and self.wants_more:
            owner.read_back(self)  # all were duplicates: no append will ask for more

    def looked_up(self) -> None:
        """What had to be looked up is recalled, or has to be asked again."""
        self.looking = False
        self.wake()

    def _settle(self, queued: QueuedCommand, verdict: Verdict) -> None:
        """Acknowledge what an earlier commit dealt with, once that commit's effects are out."""
        if verdict is not Verdict.DONE and queued.envelope is not None:
            self._owner.answer_again(queued.envelope, verdict)
        outbox = self._outbox
        if outbox is None or outbox.empty:
            queued.acknowledge()
        else:
            outbox.when_empty(queued.acknowledge)

    def _append(self, chain: CommitChain) -> None:
        """Send off all that is decided: while it is in flight nothing else of the agent is."""
        fold = self.fold
        assert fold is not None
        if self.phase is not Phase.APPENDING:
            self._enter(Phase.APPENDING)
        commits = chain.commits[:]
        chain.flying, chain.bytes = len(commits), 0
        self._owner.append(self, fold.sequence, commits, partial(self._landed, chain))

    def _landed(self, chain: CommitChain, result: "list[int] | MoonletError") -> None:
        """The append's outcome. Of a chain dropped meanwhile it is not asked.

        A closed agent's deliveries come again to the next owner.
        """
        if self.phase is Phase.CLOSED or self._chain is not chain:
            return
        if isinstance(result, MoonletError):
            self._not_appended(result)
            return
        fold, owner = self.fold, self._owner
        assert fold is not None
        landed = chain.land()
        for sequence, pending in zip(result, landed, strict=True):
            commit = pending.commit  # placed as `place` does, without a call for each
            _set(commit, "sequence", sequence)
            _set(commit, "digest", pending.digest)
            fold.advance(commit, pending.state, body=pending.body)
            self.tail_bytes += len(pending.record[0])
        owner.committed(self, landed)  # first, since replies wait for nothing
        for pending in landed:
            if pending.has_effects:
                self._dispatch(pending)
            else:
                queued = pending.queued
                queued.source.acknowledge(queued.delivery, credited=queued.credited)
        if self.stopped:
            self._take_back(chain.drop_ahead())
        if chain.commits:
            self._append(chain)
        else:
            self._chain = None
            self._enter(Phase.STOPPED if self.stopped else Phase.RUNNING)
        if fold.revision >= self.snapshot_due:
            owner.snapshot(self)
        if self.held and self.wants_more:
            owner.read_back(self)
        self.wake()

    def _take_back(self, dropped: list[PendingCommit]) -> None:
        """What was decided for nothing waits again, before all that came later."""
        for pending in reversed(dropped):
            self._waiting.put_back(pending.queued)

    def _dispatch(self, pending: PendingCommit) -> None:
        outbox = self._outbox
        if outbox is None:
            outbox = self._outbox = self._owner.outbox(self.id)

        def out() -> None:
            pending.queued.acknowledge()
            self.wake()

        commit = pending.commit
        outbox.add(commit, pending.encoding, indexes_to_dispatch(commit), out, stack=pending.stack)

    def _not_appended(self, error: MoonletError) -> None:
        """Nothing of the chain is taken for stored: read again, or wait, then decide again."""
        self._drop_chain()
        if isinstance(error, LimitExceeded):
            reached("the journal is full")
            self._enter(Phase.BLOCKED)
            self._owner.wait_for_room(self, error)
            return
        if isinstance(error, Conflict):
            reached("an append lost the compare-and-set")
        else:
            reached("an append has no answer")
            log.info("an append has no answer", agent=str(self.id), error=str(error))
        self.reread()

    def _drop_chain(self) -> None:
        chain, self._chain = self._chain, None
        if chain is not None:
            self._take_back(chain.commits)

    def unblock(self) -> None:
        """Try again, if the journal was full; nothing if it is no longer waiting for that."""
        if self.phase is Phase.BLOCKED:
            self._enter(Phase.STOPPED if self.stopped else Phase.RUNNING)
            self.wake()

    # reading the journal

    def _read(self) -> None:
        self._enter(Phase.RECOVERING)
        self._reading = self._owner.read_journal(self)

    def reread(self) -> None:
        """What is in memory is not what is stored: read the journal again."""
        self._owner.suspect(self)
        self.forget()
        self._read()

    def lose_past(self, fold: Fold[Any]) -> None:
        """What left this fold's memory is stored no more: read the journal, if nothing is going on.

        Else whoever asks for it again will notice.
        """
        if self.fold is fold and self.phase in (Phase.RUNNING, Phase.BLOCKED):
            log.warning("what left an agent's memory is gone: its journal is read", id=str(self.id))
            self.reread()

    def forget(self) -> None:
        """Drop the state; the next command, or `wake`, reads the journal again."""
        self._drop_state()
        self._enter(Phase.COLD)

    def _drop_state(self) -> None:
        if self._outbox is not None:
            self._outbox.close()
            self._outbox = None
        self.fold = None

    async def take_up(self, recovered: Recovered) -> None:
        """Have this fold, and dispatch what may not be out, in order, before anything is decided.

        Cancelled, it leaves the rest to whoever reads the journal next.
        """
        fold = self.fold = recovered.fold
        self.snapshot_revision = recovered.snapshot_revision
        self.snapshot_bytes, self.snapshot_due = recovered.snapshot_bytes, 0
        self.tail_bytes = recovered.tail_bytes
        jobs = [(commit, enc, open_indexes(fold, commit)) for commit, enc in recovered.redo]
        jobs = [job for job in jobs if job[2]]
        if not jobs:
            return
        reached("effects are dispatched again")
        outbox = self._outbox = self._owner.outbox(self.id)
        for commit, encoding, indexes in jobs:
            await outbox.room()
            outbox.add(commit, encoding, indexes, lambda: None)
        await outbox.drained()

    def go_on(self) -> None:
        """The journal was read: what is in memory is what is stored."""
        self._reading = None
        self._enter(Phase.STOPPED if self.stopped else Phase.RUNNING)
        self._owner.used(self)
        self._owner.snapshot(self)
        self.wake()

    def doubt(self) -> None:
        """The server may have lost its tail: read the last commit again before the next append."""
        if self.phase is Phase.STOPPED:
            self._drop_state()  # it is read when the agent is started
        if self.phase not in (Phase.RUNNING, Phase.BLOCKED) or self.fold is None:
            return  # an append's own answer will tell
        if not self.fold.revision:
            return  # there is nothing to compare
        self._enter(Phase.DOUBTING)
        self._reading = self._owner.read_journal(self)

    def break_down(self, error: MoonletError) -> None:
        """Stop because a stored record can't be read; what waits stays unacknowledged."""
        self._drop_chain()
        self._drop_state()
        self._reading = None
        self._enter(Phase.BROKEN)
        self.error = error
        log.error("agent stopped", agent=str(self.id), error=str(error), exc_info=error.__cause__)
        self._hold()

    # stopping and starting

    def stop(self, *, hold: bool = True) -> None:
        """Decide nothing more; STOPPED as soon as nothing is in flight. Twice is harmless.

        With `hold` only sequence and reply of what waits are kept, so that others have the credit.
        """
        self.stopped = True
        if hold:
            self._hold()
        if self.phase in (Phase.COLD, Phase.RUNNING, Phase.BLOCKED):
            self._enter(Phase.STOPPED)

    def start(self) -> None:
        """Go on after `stop`, or after a break-down: what was held is read back, in order."""
        self.stopped = False
        self.error = None
        if self.phase is Phase.STOPPED:
            self._enter(Phase.COLD if self.fold is None else Phase.RUNNING)
        elif self.phase is Phase.BROKEN:
            self._enter(Phase.COLD)
        if self.held:
            self._owner.read_back(self)
        else:
            self.wake()

    def _hold(self) -> None:
        waited: list[HeldCommand] = []
        if self._chain is not None:
            self._take_back(self._chain.drop_ahead())
        while self._waiting.count:
            queued = self._waiting.take()
            kept = queued.delivery
            waited.append(HeldCommand(queued.source, queued.lane, kept.sequence, kept.reply))
            if queued.credited:
                queued.source.release()
        self.held = waited + (self.held or []) or None  # what waited came before what is held

    # resting

    @property
    def queued(self) -> int:
        """How many deliveries wait in memory to be decided."""
        return self._waiting.count

    @property
    def urgency(self) -> int:
        """The highest lane in which something waits, 0 for critical; a question's is high."""
        return self._waiting.urgency

    @property
    def ready(self) -> bool:
        """Whether it could decide a command now: it is warm, and nothing of it is in flight."""
        return self.phase is Phase.RUNNING and not self.stopped and not self.looking

    @property
    def idle(self) -> bool:
        """Whether nothing waits, is in flight, or is on its way out."""
        resting = self.phase in (Phase.RUNNING, Phase.COLD, Phase.STOPPED)
        return resting and not self._waiting.count and not self.held and self.all_out

    @property
    def wants_more(self) -> bool:
        """Whether held deliveries may be read back into memory."""
        return self._waiting.count < QUEUE_MAX // 2

    @property
    def all_out(self) -> bool:
        """Whether no effect of it is on its way: a snapshot would hide it."""
        return self._outbox is None or self._outbox.empty

    async def effects_out(self) -> None:
        """Wait until no effect of this agent is on its way."""
        if self._outbox is not None:
            await self._outbox.drained()

    def close(self) -> None:
        """Leave memory for good; nothing more is decided or dispatched here."""
        self._drop_state()
        self._enter(Phase.CLOSED)
        if self._reading is not None:
            self._reading.cancel()
