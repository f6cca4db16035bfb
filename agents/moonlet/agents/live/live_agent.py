"""One live agent: recover → run → passivate. It takes commands from a queue, whoever put them in.

Hot path: a delivery is offered, decided at once if the agent is warm and nothing of it is in
flight, and appended; while that append is in flight the queue fills, and what waits then goes as
one chain. No task, future or lock is made for it.
"""

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from moonlet.agents.deciding.decide import CommitChain, PendingCommit, QueuedCommand, Verdict, judge
from moonlet.agents.effects.outbox import COMMITS_MAX, Outbox, indexes_to_dispatch
from moonlet.agents.live.phases import Status
from moonlet.agents.live.waiting import Held, Waiting
from moonlet.agents.recovery.recover import recover, to_dispatch
from moonlet.core.commit import place
from moonlet.core.errors import Conflict, Corrupt, LimitExceeded, MoonletError, Undecodable
from moonlet.core.fold import Fold
from moonlet.core.ids import AgentId
from moonlet.core.marks import buggify, reached
from moonlet.streams import Delivery, Intake, store_apart
from moonlet.telemetry import get_logger

if TYPE_CHECKING:
    from moonlet.agents.owner.owned_partition import OwnedPartition

log = get_logger(__name__)

CHAIN_MAX: Final = 256
"""Commands decided ahead of what is in flight: they are appended as one, all land, or none. A batch
takes milliseconds, however few they are, and deciding this many keeps others waiting for no more.
"""

CHAIN_BYTES: Final = 1_048_576
"""Bytes of records decided ahead from which no more are."""

QUEUE_MAX: Final = 1_024
"""Deliveries that an agent keeps in memory; of more only sequence and reply are kept."""

SNAPSHOT_EVERY: Final = 256
"""Commits after which a snapshot is taken."""

SNAPSHOT_AT_REST: Final = 16
"""Commits from which passivating is worth a snapshot."""


class LiveAgent:
    """One agent of an owned partition. At most one append of it is in flight."""

    __slots__ = (
        "_chain",
        "_outbox",
        "_partition",
        "_recovering",
        "_snapshot_revision",
        "_waiting",
        "blocked",
        "error",
        "fold",
        "held",
        "id",
        "last_used",
        "status",
        "stopped",
    )

    def __init__(self, id: AgentId, partition: "OwnedPartition") -> None:
        self.id = id
        self._partition = partition
        self.fold: Fold[Any] | None = None
        self.status = Status.COLD
        self.error: MoonletError | None = None
        self.stopped = False
        self.blocked = False
        self.held: list[Held] | None = None
        self.last_used = 0.0
        self._waiting = Waiting()
        self._chain: CommitChain | None = None
        self._outbox: Outbox | None = None
        self._recovering: asyncio.Task[None] | None = None
        self._snapshot_revision = 0

    # taking commands

    def offer(self, lane: int, intake: Intake, delivery: Delivery) -> None:
        """Take one delivery; never raises. What can't be kept in memory is read back later."""
        if (
            self.held
            or self.stopped
            or self._waiting.count >= QUEUE_MAX
            or self.status is Status.BROKEN
        ):
            if self.held is None:
                reached("an agent has more deliveries than it keeps in memory")
                self.held = []
            self.held.append((lane, intake, delivery.sequence, delivery.reply))
            intake.release()
            return
        item = QueuedCommand(intake, delivery, True)
        if not self._waiting.count and self._may_decide():
            self._decide((lane, item))
        else:
            self._waiting.add(lane, item)
            self.wake()

    # running

    def wake(self) -> None:
        """Go on if there is anything to do."""
        if self.status is Status.RUNNING:
            self._pump()
        elif self.status is Status.COLD:
            self._start_recovery()

    def _pump(self) -> None:
        """Decide what waits, as far ahead as may be."""
        if self._waiting.count:
            if self._may_decide():
                self._decide(None)
            elif self.ready and self._partition.careful is not None:
                self._partition.careful.enter(self)

    def _may_decide(self) -> bool:
        """Whether a command may be decided, perhaps ahead of what is in flight."""
        return (
            self.status is Status.RUNNING
            and not self.stopped
            and not self.blocked
            and self._partition.careful is None
        )

    def decide_one(self) -> bool:
        """Decide and append one command, as a suspicious owner does; False if none waits."""
        if not self.ready:
            return False
        self._decide(None, most=1)
        return self._chain is not None

    def peek(self) -> QueuedCommand | None:
        """The delivery that would be decided next, for the note of a suspicious owner."""
        return self._waiting.peek()

    def _decide(self, first: tuple[int, QueuedCommand] | None, *, most: int = CHAIN_MAX) -> None:
        """Decide `first`, or what waits, up to `most` ahead; append it if nothing is in flight.

        What is decided on commits in flight is held until they have landed.
        """
        fold = self.fold
        assert fold is not None
        partition, waiting = self._partition, self._waiting
        chain = self._chain or CommitChain(fold)
        room = COMMITS_MAX if self._outbox is None else self._outbox.room_left
        while True:
            taken, first = first or waiting.take(), None
            if taken is None:
                break
            lane, item = taken
            if chain.ahead >= most or chain.bytes >= CHAIN_BYTES or chain.with_effects >= room:
                waiting.put_back(lane, item)
                break
            try:
                verdict = judge(partition, self.id, fold, chain, item, self._dispatched)
            except Exception as error:  # ours: a handler's own are caught and park its command
                waiting.put_back(lane, item)
                self._chain = chain
                self.break_down(MoonletError(f"deciding failed: {error!r}; report this bug"))
                return
            if isinstance(verdict, PendingCommit):
                verdict.lane = lane
                chain.add(verdict)
            elif verdict is Verdict.LATER:
                waiting.put_back(lane, item)
                break
            elif verdict is Verdict.AHEAD:
                item.sought = True
                waiting.put_back(lane, item)
                self.forget()
                self._start_recovery()
                return
            else:
                self._settle(item)
        if chain.commits:
            self._chain = chain
            if not chain.flying:
                self._append(chain)
        elif self.held and self.wants_more:
            self._partition.read_back(self)  # all were duplicates: no append will ask for more

    def _dispatched(self, revision: int) -> int:
        return revision if self._outbox is None else self._outbox.dispatched(revision)

    def _settle(self, item: QueuedCommand) -> None:
        """Acknowledge what an earlier commit dealt with, once that commit's effects are out."""
        outbox = self._outbox
        if outbox is None or outbox.empty:
            item.acknowledge()
        else:
            outbox.when_empty(item.acknowledge)

    def _append(self, chain: CommitChain) -> None:
        """Send off all that is decided."""
        flying = chain.fly()
        if chain.apart:
            self._partition.spawn(self._append_apart(chain, flying), f"outcomes of {self.id}")
        else:
            self._hand_over(chain, flying)

    async def _append_apart(self, chain: CommitChain, flying: list[PendingCommit]) -> None:
        """Store the records that are too large for a message, then the commits that name them."""
        bus = self._partition.services.bus
        try:
            for decided in flying:
                if decided.apart:
                    payload, headers = decided.record
                    kept, named = await store_apart(bus, decided.digest, payload)
                    decided.record = kept, {**headers, **named}
        except MoonletError as error:
            self._landed(chain, error)
            return
        if self._chain is chain:
            self._hand_over(chain, flying)

    def _hand_over(self, chain: CommitChain, flying: list[PendingCommit]) -> None:
        assert self.fold is not None
        partition = self._partition
        partition.writer.append(
            partition.journal_subject(self.id),
            self.fold.sequence,
            [decided.record for decided in flying],
            partial(self._landed, chain),
        )

    def _landed(self, chain: CommitChain, result: "list[int] | MoonletError") -> None:
        """The append's outcome. Of a chain dropped meanwhile it is not asked.

        A closed agent's deliveries come again to the next owner.
        """
        if self.status is Status.CLOSED or self._chain is not chain:
            return
        if isinstance(result, MoonletError):
            self._not_appended(result)
            return
        fold, partition = self.fold, self._partition
        assert fold is not None
        for sequence, decided in zip(result, chain.land(), strict=True):
            commit = place(decided.commit, sequence, decided.digest)
            fold.advance(commit, decided.state, body=decided.body)
            partition.committed(decided)
            if decided.has_effects:
                self._dispatch(decided, indexes_to_dispatch(commit))
            else:
                decided.item.acknowledge()
        if self.stopped:
            self._take_back(chain.drop_ahead())
        if chain.commits:
            self._append(chain)
        else:
            self._chain = None
        partition.touched(self)
        if self.held and self.wants_more:
            partition.read_back(self)
        if fold.revision - self._snapshot_revision >= SNAPSHOT_EVERY:
            self.snapshot()
        self._pump()

    def _take_back(self, dropped: list[PendingCommit]) -> None:
        """What was decided for nothing waits again, before all that came later."""
        for decided in reversed(dropped):
            self._waiting.put_back(decided.lane, decided.item)

    def _dispatch(self, decided: PendingCommit, indexes: list[int]) -> None:
        outbox = self._outbox
        if outbox is None:
            outbox = self._outbox = Outbox(self.id, self._partition.services)

        def out() -> None:
            decided.item.acknowledge()
            self.wake()

        outbox.add(decided.commit, decided.encoding, indexes, out, stack=decided.stack)

    def _not_appended(self, error: MoonletError) -> None:
        """Nothing of the chain is taken for stored: read again, or wait, then decide again."""
        self._drop_chain()
        if isinstance(error, LimitExceeded):
            self._partition.services.alarm("journal full", agent=str(self.id), error=str(error))
            reached("the journal is full")
            self.blocked = True
            self._partition.later(self._unblock, 1.0)
            return
        if isinstance(error, Conflict):
            reached("an append lost the compare-and-set")
        else:
            reached("an append has no answer")
            log.info("an append has no answer", agent=str(self.id), error=str(error))
        self.forget()
        self._start_recovery()

    def _drop_chain(self) -> None:
        chain, self._chain = self._chain, None
        if chain is not None:
            self._take_back(chain.commits)

    def _unblock(self) -> None:
        self.blocked = False
        self.wake()

    # recovering

    def forget(self) -> None:
        """Drop the state; the next command, or `wake`, reads the journal again."""
        if self._outbox is not None:
            self._outbox.close()
            self._outbox = None
        self.fold = None
        if self.status is not Status.CLOSED:
            self.status = Status.COLD

    def _start_recovery(self) -> None:
        self.status = Status.RECOVERING
        self._recovering = self._partition.spawn(self._recover(), f"recover {self.id}")

    async def _recover(self) -> None:
        partition = self._partition
        services = partition.services
        attempt = 0
        while True:
            attempt += 1
            try:
                recovered = await recover(services, partition.agent_type, self.id)
                break
            except (Undecodable, Corrupt) as error:
                self.break_down(error)
                return
            except MoonletError as error:
                log.info("recovery waits", agent=str(self.id), error=str(error))
                await services.bus.backoff(attempt)
        fold = self.fold = recovered.fold
        self._snapshot_revision = recovered.snapshot_revision
        services.hlc.observe(fold.time, services.bus.clock.now_us())
        await self._dispatch_again(recovered.redo)
        if fold.timers:
            await partition.assert_timers(self.id, fold)
        self._recovering = None
        self.status = Status.RUNNING
        partition.touched(self)
        partition.recovered(self)
        self._pump()

    async def _dispatch_again(self, redo: list[tuple[Any, Any]]) -> None:
        """All that may not be out, in order, before anything is decided."""
        assert self.fold is not None
        jobs = [(commit, encoding, to_dispatch(self.fold, commit)) for commit, encoding in redo]
        jobs = [job for job in jobs if job[2]]
        if not jobs:
            return
        reached("effects are dispatched again")
        outbox = self._outbox = Outbox(self.id, self._partition.services)
        for commit, encoding, indexes in jobs:
            await outbox.room()
            outbox.add(commit, encoding, indexes, lambda: None)
        await outbox.drained()

    def doubt(self) -> None:
        """The server may have lost its tail: read the last commit again before the next append."""
        if self.status is not Status.RUNNING or self.fold is None:
            return
        if self._chain is not None or self.fold.revision == 0:
            return  # the append's own answer will tell, or there is nothing to compare
        self.status = Status.RECOVERING
        self._recovering = self._partition.spawn(self._verify(), f"verify {self.id}")

    async def _verify(self) -> None:
        partition = self._partition
        fold = self.fold
        assert fold is not None
        attempt = 0
        while True:
            attempt += 1
            try:
                same = await partition.holds(fold)
                break
            except MoonletError as error:
                log.info("verifying waits", agent=str(self.id), error=str(error))
                await partition.services.bus.backoff(attempt)
        if same:
            self.status = Status.RUNNING
            partition.recovered(self)
            self._pump()
        else:
            self.forget()
            self._start_recovery()

    def break_down(self, error: MoonletError) -> None:
        """Stop because a stored record can't be read; what waits stays unacknowledged."""
        self._drop_chain()
        self.forget()
        self.status = Status.BROKEN
        self.error = error
        log.error("agent stopped", agent=str(self.id), error=str(error))
        self.hold()
        self._partition.recovered(self)

    def hold(self) -> None:
        """Keep only sequence and reply of what waits, so that others have the credit."""
        waited: list[Held] = []
        if self._chain is not None:
            self._take_back(self._chain.drop_ahead())
        while (taken := self._waiting.take()) is not None:
            lane, item = taken
            waited.append((lane, item.intake, item.delivery.sequence, item.delivery.reply))
            if item.credited:
                item.intake.release()
        self.held = waited + (self.held or []) or None  # what waited came before what is held

    def resume(self) -> None:
        """Try again after `hold`: what was held is read back, in order."""
        self.error = None
        if self.status is Status.BROKEN:
            self.status = Status.COLD
        if self.held:
            self._partition.read_back(self)
        else:
            self.wake()

    def take_back(self, lane: int, item: QueuedCommand) -> None:
        """One held delivery that was read back."""
        self._waiting.add(lane, item)

    # resting

    @property
    def queued(self) -> int:
        """How many deliveries wait in memory to be decided."""
        return self._waiting.count

    @property
    def ready(self) -> bool:
        """Whether it could decide a command now: it is warm, and nothing of it is in flight."""
        return (
            self.status is Status.RUNNING
            and self._chain is None
            and not self.stopped
            and not self.blocked
        )

    @property
    def appending(self) -> bool:
        """Whether an append is in flight."""
        return self._chain is not None

    @property
    def idle(self) -> bool:
        """Whether nothing waits, is in flight, or is on its way out."""
        return (
            not self._waiting.count
            and not self.held
            and self._chain is None
            and self.status in (Status.RUNNING, Status.COLD)
            and (self._outbox is None or self._outbox.empty)
        )

    @property
    def wants_more(self) -> bool:
        """Whether held deliveries may be read back into memory."""
        return self._waiting.count < QUEUE_MAX // 2

    async def effects_out(self) -> None:
        """Wait until no effect of this agent is on its way."""
        if self._outbox is not None:
            await self._outbox.drained()

    def snapshot(self) -> None:
        """Write a snapshot, unless effects are on their way: it must not hide them."""
        fold = self.fold
        if fold is None or (self._outbox is not None and not self._outbox.empty):
            return
        self._snapshot_revision = fold.revision
        self._partition.take_snapshot(self.id, fold)

    def passivate(self) -> None:
        """Leave memory; the next command brings it back."""
        fold = self.fold
        if fold is not None and fold.revision:
            news = fold.revision - self._snapshot_revision
            if news >= SNAPSHOT_AT_REST or buggify("an agent at rest takes a snapshot anyway"):
                self.snapshot()
        self.close()

    def close(self) -> None:
        """Stop for good; nothing more is decided or dispatched here."""
        self.status = Status.CLOSED
        self.forget()
        if self._recovering is not None:
            self._recovering.cancel()
