"""An owned partition: its agents, the consumers that feed them, and what its owner answers."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final

import msgspec

from moonlet.agents.answering.owner_service import OwnerService
from moonlet.agents.deciding.decide import PendingCommit, QueuedCommand
from moonlet.agents.definition.agent_type import AgentType
from moonlet.agents.effects.outbox import caused_envelope
from moonlet.agents.live.live_agent import LiveAgent
from moonlet.agents.live.waiting import lane_index
from moonlet.agents.owner.crash_guard import AGAIN, CrashGuard, note_of
from moonlet.agents.services.host_services import Services
from moonlet.agents.services.tasks import Tasks
from moonlet.core.envelope import Envelope
from moonlet.core.errors import Conflict, MoonletError
from moonlet.core.fold import Fold
from moonlet.core.ids import LANES, AgentId
from moonlet.core.marks import buggify, reached
from moonlet.streams import (
    Delivery,
    Intake,
    Partition,
    ServerRefused,
    StoredMessage,
    decode_commit,
    stored_message,
    take_snapshot,
)
from moonlet.telemetry import get_logger

log = get_logger(__name__)

CREDIT: Final = {"critical": 512, "high": 512, "medium": 512, "low": 128}
"""Deliveries of one lane of one partition that are in memory or on their way."""

DRAIN: Final = 8.0
"""Seconds that a partition's agents have to finish what is in flight when it is handed over."""


class OwnedPartition:
    """One partition while this host owns it.

    `owns` says whether the host's lease holds; `lost` is called when another owner is noticed.
    """

    def __init__(
        self,
        services: Services,
        agent_type: AgentType[Any],
        record: Partition,
        owns: Callable[[], bool],
        lost: Callable[["OwnedPartition"], None],
        on_death: Callable[[BaseException], None],
        write_record: Callable[[Partition], Coroutine[Any, Any, Partition | None]],
    ) -> None:
        self.services = services
        self.agent_type = agent_type
        self.record = record
        self.name = f"{record.type}-p{record.number}"
        self.entities: dict[str, LiveAgent] = {}
        self.stopped: set[str] = set()
        self.closed = False
        topology = services.bus.topology
        self.journal_stream = topology.journal_of(agent_type.name)
        self.timer_stream = topology.stream("timers")
        self.internal_stream = topology.stream("internal")
        self.writer = services.writer(self.journal_stream)
        self.careful: CrashGuard | None = None
        self.owns = owns
        self._lost = lost
        self._tasks = Tasks(on_death)
        self._write_record = write_record
        self._intakes: list[Intake] = []
        self._desk = OwnerService(self)
        self._reading: set[str] = set()
        self.noted = record.note
        self._subject_prefix = services.bus.subjects.journal(AgentId(agent_type.name, ""))

    # life

    async def open(self, stopped: set[str]) -> None:
        """Create the consumers and start. Raises what the server says; then `close` it."""
        self.stopped = stopped
        if self.record.note or self.record.crashes or buggify("an owner is suspicious for nothing"):
            self.careful = CrashGuard(self)
        await self._desk.open()
        bus = self.services.bus
        type_, number = self.record.type, self.record.number
        for family, stream in (
            ("cmd", bus.topology.stream("mailboxes")),
            ("in", self.internal_stream),
        ):
            for lane in LANES:
                filter = bus.subjects.lane_filter(family, type_, number, lane)
                await self._open_intake(stream, f"{family}-{lane}", filter, lane)
        await self._open_intake(
            self.timer_stream, "fire", bus.subjects.fire_filter(type_, number), "high"
        )

    async def _open_intake(self, stream: str, what: str, filter: str, lane: str) -> None:
        index = lane_index(lane)

        def deliver(intake: Intake, delivery: Delivery) -> None:
            self._deliver(index, intake, delivery)

        intake = Intake(
            self.services.bus,
            stream,
            f"{self.name}-{what}-r{self.record.revision}",
            filter,
            credit=CREDIT[lane],
            on_delivery=deliver,
            on_lost=self._notice_loss,
        )
        self._intakes.append(intake)
        try:
            await intake.open()
        except ServerRefused as error:
            await self._remove_lower(stream, what, error)
            await intake.open()

    async def _remove_lower(self, stream: str, what: str, error: ServerRefused) -> None:
        """Delete what an owner before us left behind; a higher revision is the newer owner's."""
        js = self.services.bus._js
        prefix = f"{self.name}-{what}-r"
        for name in await js.consumer_names(stream):
            revision = name.removeprefix(prefix)
            if name.startswith(prefix) and revision.isdigit():
                if int(revision) > self.record.revision:
                    raise Conflict(f"{self.name} has a newer owner, {name}") from error
                if int(revision) < self.record.revision:
                    await js.delete_consumer(stream, name)

    async def close(self, *, hand_over: bool) -> None:
        """Stop. With `hand_over` what is in flight finishes first, and the consumers are deleted.

        Without, everything is dropped at once: another owns the partition, or the host is dying.
        """
        if self.closed:
            return
        self.closed = True
        for intake in self._intakes:
            intake.pause()
        if hand_over:
            await self._finish()
        await self._desk.close()
        for entity in self.entities.values():
            entity.passivate() if hand_over else entity.close()
        self.entities.clear()
        await self._tasks.close()
        for intake in self._intakes:
            try:
                await intake.close(delete=hand_over)
            except MoonletError as error:
                log.info("a consumer stays behind", consumer=intake.name, error=str(error))

    async def _finish(self) -> None:
        """Let appends and effects in flight end; nothing new is decided."""
        for entity in self.entities.values():
            entity.stopped = True
        await self.services.drain()
        try:
            async with asyncio.timeout(DRAIN):
                for entity in list(self.entities.values()):
                    await entity.effects_out()
        except TimeoutError:
            log.warning("effects are left to the next owner", partition=self.name)

    def _notice_loss(self) -> None:
        if not self.closed:
            self._lost(self)

    # agents

    def entity(self, key: str) -> LiveAgent:
        """The agent of this key, cold if it is not in memory."""
        entity = self.entities.get(key)
        if entity is None:
            entity = self.entities[key] = LiveAgent(AgentId(self.agent_type.name, key), self)
            entity.stopped = key in self.stopped
        return entity

    def _deliver(self, lane: int, intake: Intake, delivery: Delivery) -> None:
        if self.closed:
            return
        key = delivery.subject.rpartition(".")[2]
        entity = self.entities.get(key)
        if entity is None:
            entity = self.entity(key)
        entity.offer(lane, intake, delivery)

    def journal_subject(self, id: AgentId) -> str:
        """The subject of an agent's commits."""
        return self._subject_prefix + id.key

    def touched(self, entity: LiveAgent) -> None:
        """Note the use, and the journal's end; agents stand in order of their last use."""
        services = self.services
        if entity.fold is not None:
            services.note_end(self.journal_stream, entity.fold.sequence)
        entity.last_used = services.bus.clock.monotonic()
        key = entity.id.key
        if self.entities.pop(key, None) is not None:
            self.entities[key] = entity

    def passivate_idle(self, before: float, over: int) -> int:
        """Passivate agents not used since `before`, and the `over` least used; returns how many."""
        gone = 0
        for entity in list(self.entities.values()):
            if entity.last_used >= before and gone >= over:
                break
            if entity.idle:
                del self.entities[entity.id.key]
                entity.passivate()
                gone += 1
        return gone

    async def stop_agent(self, id: AgentId) -> None:
        """Let what is in flight finish, mark the agent stopped for all owners to come."""
        await self.services.registry.mark_stopped(id, True)
        self.stopped.add(id.key)
        entity = self.entities.get(id.key)
        if entity is not None:
            entity.stopped = True
            entity.hold()

    async def start_agent(self, id: AgentId) -> None:
        """Take the mark away, and go on; also mends an agent that could not read its journal."""
        await self.services.registry.mark_stopped(id, False)
        self.stopped.discard(id.key)
        entity = self.entity(id.key)
        entity.stopped = False
        entity.resume()

    def status_of(self, id: AgentId, entity: LiveAgent | None) -> dict[str, Any]:
        """What is known of an agent here, as plain data."""
        status = "stopped" if id.key in self.stopped else "passive"
        if entity is not None and not entity.stopped:
            status = entity.status.value
        fold = entity.fold if entity is not None else None
        return {
            "agent": str(id),
            "status": status,
            "queued": entity.queued if entity is not None else 0,
            "held": len(entity.held or ()) if entity is not None else 0,
            "revision": fold.revision if fold is not None else None,
            "sequence": fold.sequence if fold is not None else None,
            "error": str(entity.error) if entity is not None and entity.error else "",
        }

    # called by entities

    def committed(self, decided: PendingCommit) -> None:
        """A commit has landed: tell the sender, and who else asked."""
        self.services.remember(decided.commit, decided.encoding)
        reply = decided.envelope.reply
        if reply or self._desk.awaited:
            self._desk.tell(decided, reply)

    def answer_again(self, item: QueuedCommand, envelope: Envelope, *, conflict: bool) -> None:
        """Answer a command that an earlier commit dealt with, if its sender wants an answer."""
        if conflict:
            log.warning("an id was used again", agent=envelope.agent, command=envelope.id)
        if envelope.reply:
            self._desk.answer_again(envelope, conflict)

    def recovered(self, entity: LiveAgent) -> None:
        """An agent is warm, or broken: those who wait for it can go on."""
        self._desk.ready(entity.id.key)

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> "asyncio.Task[None]":
        """Run something that ends with the partition."""
        return self._tasks.spawn(work, name)

    def later(self, callback: Callable[[], None], delay: float) -> None:
        """Call back in `delay` seconds, unless the partition is closed by then."""

        async def wait() -> None:
            await asyncio.sleep(delay)
            callback()

        self._tasks.spawn(wait(), f"later {self.name}")

    def read_back(self, entity: LiveAgent) -> None:
        """Read the messages of held deliveries, in order, and queue them again."""
        if entity.id.key not in self._reading:
            self._reading.add(entity.id.key)
            self._tasks.spawn(self._read_back(entity), f"read back {entity.id}")

    async def _read_back(self, entity: LiveAgent) -> None:
        bus = self.services.bus
        attempt = 0
        try:
            while entity.held and entity.wants_more and not entity.stopped:
                lane, intake, sequence, reply = first = entity.held[0]
                try:
                    stored = await stored_message(bus, intake.stream, sequence)
                except MoonletError as error:
                    attempt += 1
                    log.info("reading back waits", agent=str(entity.id), error=str(error))
                    await self.services.bus.backoff(attempt)
                    continue
                if not entity.held or entity.held[0] is not first:
                    continue  # it was stopped meanwhile, and older ones stand before this one now
                del entity.held[0]
                if stored is not None:
                    delivery = Delivery(
                        stored.subject,
                        stored.data,
                        stored.headers,
                        reply,
                        sequence,
                        0,
                        1,
                        stored.time,
                    )
                    entity.take_back(lane, QueuedCommand(intake, delivery, False))
        finally:
            self._reading.discard(entity.id.key)
        entity.wake()

    async def assert_timers(self, id: AgentId, fold: Fold[Any]) -> None:
        """Set open timers again whose schedule does not stand; firing twice is harmless."""
        journal = self.services.journal(self.journal_stream)
        for name, where in list(fold.timers.items()):
            attempt = 0
            while True:
                attempt += 1
                try:
                    if await self.services.timers.stands(id, name, where.revision):
                        break
                    reached("a timer that no schedule stands for is set again")
                    stored = await journal.message(where.sequence)
                    if stored is None:
                        break
                    commit, encoding = decode_commit(self.journal_stream, stored)
                    envelope = caused_envelope(
                        commit, where.index, agent=str(id), lane="high", timer=name
                    )
                    due = commit.effects[where.index].due
                    await self.services.timers.set(
                        id, envelope, due, self.agent_type.partitions, encoding
                    )
                    break
                except MoonletError as error:
                    log.info("a timer waits for the server", agent=str(id), error=str(error))
                await self.services.bus.backoff(attempt)

    async def holds(self, fold: Fold[Any]) -> bool:
        """Whether the journal still holds the fold's last commit."""
        stored = await self.services.journal(self.journal_stream).message(fold.sequence)
        if stored is None:
            return False
        commit, _ = decode_commit(self.journal_stream, stored)
        return commit.digest == fold.digest

    def take_snapshot(self, id: AgentId, fold: Fold[Any]) -> None:
        """Write a snapshot in the background; losing it only makes recovery longer."""
        incarnation = self.services.known_incarnation(self.journal_stream)
        if incarnation is None:
            return
        snapshot = take_snapshot(
            fold,
            id,
            state=self.agent_type.encode_state(fold.state),
            incarnation=incarnation,
            code=self.agent_type.state_code(),
        )
        future = self.services.snapshots.store(id, snapshot)
        if future is None:
            self.services.alarm("snapshot too large", agent=str(id))
        else:
            future.add_done_callback(_consumed)

    # suspicion

    def crashed_by(self, item: QueuedCommand) -> MoonletError | None:
        """The reason to park a command that the last two owners died deciding."""
        if self.noted != note_of(item) + AGAIN:
            return None
        reached("a command is parked since hosts died of it")
        return MoonletError(
            "its decision ended the process of three hosts; look at the handler before it is sent"
            " again"
        )

    async def note(self, what: str) -> None:
        """Write down what is about to be decided; raises `Conflict` if the partition is lost."""
        await self._rewrite(msgspec.structs.replace(self.record, note=what))

    async def calm_down(self) -> None:
        """Nothing crashed: trust the partition again."""
        self.careful = None
        try:
            await self._rewrite(msgspec.structs.replace(self.record, note="", crashes=0))
        except MoonletError as error:
            log.info("a partition stays suspicious", partition=self.name, error=str(error))

    async def _rewrite(self, record: Partition) -> None:
        written = await self._write_record(record)
        if written is None:
            self._notice_loss()
            raise Conflict(f"{self.name} has another owner")
        self.record = written


def _delivery(stored: StoredMessage, reply: str) -> Delivery:
    """A message read back, as if it were delivered just now."""
    return Delivery(
        stored.subject, stored.data, stored.headers, reply, stored.sequence, 0, 1, stored.time
    )


def _consumed(future: "asyncio.Future[Any]") -> None:
    if not future.cancelled() and future.exception() is not None:
        log.info("a snapshot was not stored", error=str(future.exception()))
