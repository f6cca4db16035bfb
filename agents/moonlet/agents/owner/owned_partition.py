"""An owned partition: its live agents, and all that leaves them or is asked of them."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from typing import Any, Final

import msgspec

from moonlet.agents.answering import OwnerService
from moonlet.agents.deciding import LookUp, PendingCommit, Rules, StateWatch, Verdict
from moonlet.agents.definition import AgentType
from moonlet.agents.effects import Outbox
from moonlet.agents.live import Landed, LiveAgent, Phase
from moonlet.agents.owner.blocked_agents import BlockedAgents
from moonlet.agents.owner.crash_guard import CrashGuard, fatal_place
from moonlet.agents.owner.doubtful_agents import DoubtfulAgents
from moonlet.agents.owner.left_work import LEFT_PAUSE, LeftWork
from moonlet.agents.owner.look_ups import LookUps
from moonlet.agents.owner.oversized import store_oversized
from moonlet.agents.owner.read_back import ReadBack
from moonlet.agents.recovery import PastKeeper, Recoveries, SnapshotPolicy, assert_timers
from moonlet.agents.services import HostServices, Tasks
from moonlet.core.envelope import Envelope
from moonlet.core.errors import Conflict, Corrupt, LimitExceeded, MoonletError, Undecodable
from moonlet.core.hlc import Timestamp
from moonlet.core.ids import AgentId
from moonlet.core.marks import buggify
from moonlet.streams import Blocked, Message, Partition, decode_commit
from moonlet.telemetry import get_logger

log = get_logger(__name__)

DRAIN: Final = 5.0
"""Seconds that a partition's agents have to finish what is in flight when it is handed over."""

SNAPSHOTS_SECONDS: Final = 2.0
"""Seconds that the last snapshots have to be taken and stored when a partition is handed over."""

FOREIGN_PAUSE: Final = 1.0
"""Seconds until timers are set again of which something fired that they were not set for."""

FULL_PAUSE: Final = 1.0
"""Seconds that an agent waits when the journal is full."""


class OwnedPartition:
    """One partition while this host owns it.

    `owns` says whether the host's lease holds; `lost` is called when another owner is noticed.
    """

    def __init__(
        self,
        services: HostServices,
        recoveries: Recoveries,
        agent_type: AgentType[Any],
        record: Partition,
        owns: Callable[[], bool],
        lost: Callable[["OwnedPartition"], None],
        on_death: Callable[[BaseException], None],
        write_record: Callable[[Partition], Coroutine[Any, Any, Partition | None]],
    ) -> None:
        bus = services.bus
        topology = bus.topology
        self.services = services
        self.agent_type = agent_type
        self.record = record
        self.name = f"{record.type}-p{record.number}"
        self.agents: dict[str, LiveAgent] = {}
        self.doubtful = DoubtfulAgents(services, self.name, self.agents, self.spawn)
        self.stopped: set[str] = set()
        self.fresh = True
        self.closed = False
        self.guarded = bool(record.note or record.crashes) or buggify(
            "an owner is suspicious for nothing"
        )
        self.journal_stream = topology.journal_of(agent_type.name)
        self._left = LeftWork(services, agent_type.name, self.later)
        self.rules = Rules(
            agent_type,
            app_version=agent_type.version,
            max_payload=bus.max_payload,
            timers=topology.stream("timers"),
            internal=topology.stream("internal"),
            fatal=fatal_place(record.note),
            epoch=services.ends.epoch(self.journal_stream),
            running=services.running_of(agent_type.name),
            watch=StateWatch(agent_type, self.doubtful.changed_in_place),
            newer=self._left.command,
        )
        self.times: Callable[[], tuple[int, Timestamp]] = partial(services.hlc.now, bus.clock)
        self._setting: set[str] = set()
        self._end = 0
        self._swept = bus.clock.monotonic()
        self._owns = owns
        self._lost = lost
        self._write_record = write_record
        self._tasks = Tasks(on_death)
        self._meter = services.meter.of(agent_type.name) if services.meter is not None else None
        self._writer = services.writer(self.journal_stream)
        self._service = OwnerService(self)
        self._read_back = ReadBack(bus, self.spawn)
        self._recoveries = recoveries
        keeper = PastKeeper(services, self.journal_stream)
        self._look_ups = LookUps(bus, keeper, self.spawn)
        self._snapshots = SnapshotPolicy(
            services, agent_type, self.journal_stream, keeper, on_death
        )
        self._guard = CrashGuard(self, record.note, services, self.spawn)
        self.blocked = BlockedAgents(services, self.rules, self.spawn, self._unblocked)
        self._subject_prefix = bus.subjects.journal(AgentId(agent_type.name, ""))

    # life

    def begin(self, stopped: set[str], blocked: Mapping[AgentId, Blocked]) -> None:
        """Take up its agents, of which these are stopped; then it may be fed."""
        self.fresh = False
        self.stopped = stopped
        self.blocked.begin(blocked, self.record.number)

    async def close(self, *, hand_over: bool) -> None:
        """Stop. With `hand_over` what is in flight finishes first: it must be fed until then.

        Without, everything is dropped at once: another owns the partition, or the host is dying,
        or handing over takes too long.
        """
        if self.closed and hand_over:
            return
        self.closed = True
        if hand_over:
            await self._finish()
        self.note_end()
        if hand_over:
            await self._snapshots.leaving(self.agents.values(), SNAPSHOTS_SECONDS)
        for agent in self.agents.values():
            agent.close()
            self.services.backlog.free(str(agent.id))
        self.agents.clear()
        await self._tasks.close()
        await self._snapshots.close()

    async def _finish(self) -> None:
        """Let appends and effects in flight end; nothing new is decided."""
        for agent in self.agents.values():
            agent.stop(hold=False)
        await self.services.drain()
        try:
            async with asyncio.timeout(DRAIN):
                for agent in list(self.agents.values()):
                    await agent.effects_out()
        except TimeoutError:
            log.warning("effects are left to the next owner", partition=self.name)

    @property
    def answers(self) -> bool:
        """Whether it is open, and its host's lease holds."""
        return not self.closed and self._owns()

    def _notice_loss(self) -> None:
        if not self.closed:
            self._lost(self)

    # agents

    def agent(self, key: str) -> LiveAgent:
        """The agent of this key, cold if it is not in memory."""
        agent = self.agents.get(key)
        if agent is None:
            id = AgentId(self.agent_type.name, key)
            waits = key in self.blocked.waiting
            agent = self.agents[key] = LiveAgent(id, self, stopped=key in self.stopped or waits)
        return agent

    def _unblocked(self, key: str) -> None:
        agent = self.agents.get(key)
        if agent is not None and key not in self.stopped and not self.closed:
            agent.start()

    def ask(self, service: str, message: Message) -> None:
        """Answer a question that came by that service; once closed the next owner is asked."""
        if not self.closed:
            self._service.ask(service, message)

    def passivate_idle(self, before: float, over: int) -> int:
        """Let agents go not used since `before`, and the `over` least used; returns how many."""
        self._swept = self.services.bus.clock.monotonic()
        gone = 0
        for agent in list(self.agents.values()):
            if agent.last_used >= before and gone >= over:
                break
            if agent.idle:
                del self.agents[agent.id.key]
                self._snapshots.at_rest(agent)
                agent.close()
                gone += 1
        return gone

    def doubt(self) -> None:
        """The server was away: agents compare their last commit before they append again."""
        self.note_end()
        for agent in list(self.agents.values()):
            agent.doubt()

    def note_end(self) -> None:
        """How far our commits went: a journal that ends before that went back."""
        if self._end:
            self.services.ends.note(self.journal_stream, self._end)

    @property
    def stopped_agents(self) -> list[AgentId]:
        """Those that an operator stopped, in order."""
        return [AgentId(self.agent_type.name, key) for key in sorted(self.stopped)]

    def suspect(self, agent: LiveAgent) -> None:
        """What is stored is not what an agent had: see that its journal is the one it was."""
        self.note_end()
        self.services.ends.doubt(self.journal_stream)

    def journal_went_back(self) -> None:
        """Have every agent read its journal before it decides anything; it is told why then."""
        for agent in list(self.agents.values()):
            if agent.phase in (Phase.RUNNING, Phase.BLOCKED):
                agent.reread()

    def journal_is_back(self) -> None:
        """Let agents go on that stopped because the journal was not what it was."""
        self._end = 0
        self.rules.epoch = self.services.ends.epoch(self.journal_stream)
        for agent in list(self.agents.values()):
            error = agent.error
            if agent.phase is Phase.BROKEN and isinstance(error, Corrupt):
                if error.stream == self.journal_stream:
                    agent.start()

    @property
    def trouble(self) -> str:
        """Why no commit is taken just now; '' if they are."""
        return self._writer.trouble

    async def stop_agent(self, id: AgentId) -> None:
        """Let what is in flight finish, mark the agent stopped for all owners to come."""
        await self.services.registry.mark_stopped(id, True)
        self.stopped.add(id.key)
        agent = self.agents.get(id.key)
        if agent is not None:
            agent.stop()

    async def start_agent(self, id: AgentId) -> None:
        """Take the mark away, and go on; also mends an agent that could not read its journal."""
        await self.services.registry.mark_stopped(id, False)
        await self.blocked.forgive(id)
        self.stopped.discard(id.key)
        if id.key not in self.blocked.waiting:
            self.agent(id.key).start()

    def why_stopped(self, id: AgentId) -> str:
        """Why an agent that is stopped is so, for people."""
        if id.key in self.blocked.waiting:
            return f"{id} is being run by a host that is blocked by it; ask again in some seconds"
        return f"{id} is stopped: start it with `start_agent`"

    def check_query(self, id: AgentId, name: str) -> None:
        """Raise `Unavailable` for a query that ended a host's process."""
        self.blocked.check_query(id, name)

    def status_of(self, id: AgentId) -> dict[str, Any]:
        """What is known of an agent here, as plain data."""
        agent = self.agents.get(id.key)
        status = "stopped" if id.key in self.stopped else "passive"
        if agent is not None and not agent.stopped:
            status = agent.phase.told
        fold = agent.fold if agent is not None else None
        return {
            "agent": str(id),
            "status": status,
            "queued": agent.queued if agent is not None else 0,
            "held": len(agent.held or ()) if agent is not None else 0,
            "revision": fold.revision if fold is not None else None,
            "sequence": fold.sequence if fold is not None else None,
            "error": str(agent.error) if agent is not None and agent.error else self.trouble,
        }

    # the verbs of live agents (`Owner`)

    def append(
        self, agent: LiveAgent, expected: int, commits: Sequence[PendingCommit], landed: Landed
    ) -> None:
        """Append all or none after the agent's last sequence `expected`; call `landed` once.

        Records too large for a message are stored before the commits that name them.
        """
        if any([pending.oversized for pending in commits]):
            work = self._append_oversized(agent, expected, commits, landed)
            self.spawn(work, f"outcomes of {agent.id}")
            return
        subject = self._subject_prefix + agent.id.key
        self._writer.append(subject, expected, [pending.record for pending in commits], landed)

    async def _append_oversized(
        self, agent: LiveAgent, expected: int, commits: Sequence[PendingCommit], landed: Landed
    ) -> None:
        try:
            await store_oversized(self.services.bus, commits)
        except MoonletError as error:
            landed(error)
            return
        if agent.phase is Phase.APPENDING:
            subject = self._subject_prefix + agent.id.key
            self._writer.append(subject, expected, [pending.record for pending in commits], landed)

    def committed(self, agent: LiveAgent, commits: Sequence[PendingCommit]) -> None:
        """They are stored, in order: note it, tell their senders, and who else asked."""
        self.used(agent)
        self._service.committed(agent, commits)
        if self._meter is not None:
            self._meter.committed(commits)
        if self.rules.blocked:
            for pending in commits:
                self.blocked.committed(agent.id, pending)

    def used(self, agent: LiveAgent) -> None:
        """Note the use, and the journal's end; agents stand in order of their last use."""
        fold, key = agent.fold, agent.id.key
        assert fold is not None
        if fold.sequence > self._end:
            self._end = fold.sequence
        agent.last_used = self._swept  # near enough, and costs no clock
        if self.agents.pop(key, None) is not None:
            self.agents[key] = agent
        if self._service.waiting:
            self._service.ready(key)

    def snapshot(self, agent: LiveAgent) -> None:
        """Its tail may have become long enough for a snapshot."""
        self._snapshots.used(agent)

    def answer_again(self, envelope: Envelope, verdict: Verdict) -> None:
        """Answer a command that an earlier commit dealt with, if its sender wants an answer.

        A firing that its timer was not set for has none: the timer is set again, if need be.
        """
        if verdict is Verdict.FOREIGN:
            self.services.alarm("foreign firing", agent=envelope.agent, timer=envelope.timer)
            if envelope.agent not in self._setting:
                self._setting.add(envelope.agent)
                self.later(partial(self._set_timers, envelope.agent), FOREIGN_PAUSE)
            return
        if verdict is Verdict.CONFLICT:
            log.warning("an id was used again", agent=envelope.agent, command=envelope.id)
        if envelope.reply:
            self._service.answer_again(envelope, verdict)

    def _set_timers(self, name: str) -> None:
        """What fired may have come out of a timer's schedule, which then stands no more."""
        self._setting.discard(name)
        id = AgentId.parse(name)
        agent = self.agents.get(id.key)
        if agent is not None and agent.fold is not None and agent.fold.timers:
            work = assert_timers(self.services, id, agent.fold, anyway=True)
            self.spawn(work, f"timers of {name}")

    def read_journal(self, agent: LiveAgent) -> "asyncio.Task[None]":
        """Read an agent's journal, or compare its last commit; until the server answers."""
        if self.trouble:
            self.services.alarm("a journal takes no commits", error=self.trouble)
        if agent.phase is Phase.DOUBTING:
            return self.spawn(self._compare(agent), f"compare {agent.id}")
        return self.spawn(self._recover(agent), f"recover {agent.id}")

    def read_back(self, agent: LiveAgent) -> None:
        """Read the messages of held deliveries, in order, and queue them again."""
        self._read_back.begin(agent)

    def look_up(self, agent: LiveAgent, wanted: LookUp) -> None:
        """Fetch what the agent's past says of these, and have it go on."""
        self._look_ups.begin(agent, wanted)

    async def fetch(self, agent: LiveAgent, wanted: LookUp) -> bool:
        """The same, for whoever waits; False if it has to be asked again. Raises as a read."""
        return await self._look_ups.fetch(agent, wanted)

    def leave(self, agent: LiveAgent) -> None:
        """Its next command is left to newer code, unless it turns out that there is none."""
        self._left.wait(agent)

    def line_up(self, agent: LiveAgent) -> None:
        """Have a command of it decided when its turn comes."""
        self._guard.enter(agent)

    def wait_for_room(self, agent: LiveAgent, error: LimitExceeded) -> None:
        """The journal is full: raise the alarm, and try again after a pause."""
        self.services.alarm("journal full", agent=str(agent.id), error=str(error))
        self.later(agent.unblock, FULL_PAUSE)

    def outbox(self, agent: AgentId) -> Outbox:
        """A new, empty outbox."""
        return Outbox(agent, self.services)

    # reading journals

    async def _recover(self, agent: LiveAgent) -> None:
        try:
            await self._bring_up(agent)
        finally:
            self.services.backlog.free(str(agent.id))

    async def _bring_up(self, agent: LiveAgent) -> None:
        services = self.services
        attempt = 0
        while True:
            attempt += 1
            try:
                self.blocked.check_fold(agent.id)
                recovered = await self._recoveries.recover(
                    self.agent_type, agent.id, lambda: agent.urgency
                )
                break
            except (Undecodable, Corrupt) as error:
                if services.ends.is_over(error) or self._left.agent(error):
                    await asyncio.sleep(LEFT_PAUSE)
                    continue
                agent.break_down(error)
                self._service.ready(agent.id.key)
                return
            except MoonletError as error:
                log.info("recovery waits", agent=str(agent.id), error=str(error))
                await services.bus.backoff(attempt)
        fold = recovered.fold
        services.hlc.observe(fold.time, services.hlc.wall_us(services.bus.clock))
        await agent.take_up(recovered)
        if fold.timers:
            await assert_timers(services, agent.id, fold)
        agent.go_on()
        self._snapshots.recovered(agent, recovered)
        if recovered.snapshot_revision:
            self.doubtful.unproved(agent)

    async def _compare(self, agent: LiveAgent) -> None:
        fold = agent.fold
        assert fold is not None
        attempt = 0
        while True:
            attempt += 1
            try:
                stream = self.journal_stream
                stored = await self.services.journal(stream).message(fold.sequence)
                same = stored and decode_commit(stream, stored)[0].digest == fold.digest
                break
            except MoonletError as error:
                log.info("comparing waits", agent=str(agent.id), error=str(error))
                await self.services.bus.backoff(attempt)
        if same:
            agent.go_on()
        else:
            agent.reread()

    # what ends with the partition

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> "asyncio.Task[None]":
        """Run something that ends with the partition."""
        return self._tasks.spawn(work, name)

    def later(self, callback: Callable[[], None], delay: float) -> None:
        """Call back in `delay` seconds, unless the partition is closed by then."""

        async def wait() -> None:
            await asyncio.sleep(delay)
            callback()

        self._tasks.spawn(wait(), f"later {self.name}")

    # suspicion

    async def is_run_elsewhere(self, agent: LiveAgent) -> bool:
        """Whether another host is blocked by it: the mark may have come after we began."""
        if not await self.blocked.look(agent.id):
            return False
        agent.stop()
        return True

    async def note(self, what: str) -> None:
        """Write down what is about to be decided; raises `Conflict` if the partition is lost."""
        await self._rewrite(msgspec.structs.replace(self.record, note=what))

    async def calm_down(self) -> None:
        """Nothing crashed: trust the partition again."""
        self.guarded = False
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
