"""A host: a process, or a part of one, that runs agents while it holds a lease.

The lease only says that it lives. A host that slept past its lease carries on as a newcomer; what
it did in between was fenced by compare-and-set, and its late effects are recognised by receivers.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any, Final

from moonlet.agents.calls import CallRunner
from moonlet.agents.deciding import Running
from moonlet.agents.definition import AgentType, Resource
from moonlet.agents.hosting import collector
from moonlet.agents.hosting.log_facts import LogFacts
from moonlet.agents.hosting.loop_lag import LoopLag
from moonlet.agents.hosting.loop_watch import LIMIT, Beats, LoopWatch
from moonlet.agents.hosting.ownership import Ownership
from moonlet.agents.hosting.stream_watch import StreamWatch
from moonlet.agents.owner import OwnedPartition, Scrubber
from moonlet.agents.placement import HostWatch
from moonlet.agents.recovery import Recoveries
from moonlet.agents.services import REFUSE, TELL, HostServices, Meter, ServerTime, Tasks
from moonlet.core.errors import Conflict, InvalidSettings, MoonletError
from moonlet.core.ids import AgentId, partition_of
from moonlet.core.marks import reached
from moonlet.streams import HostLease, Leases, settle_topology
from moonlet.telemetry import get_logger
from moonlet.telemetry.metrics import Histogram

if TYPE_CHECKING:
    from moonlet.agents.client import Client

log = get_logger(__name__)

HAND_OVER: Final = 8.0
"""Seconds that a host which stops has to hand over what it owns; then it lets go of the rest."""

LET_GO: Final = 0.5
"""Seconds for each of what follows: ending its tasks, dropping its agents, leaving."""

STAND_BACK: Final = 2.0
"""Seconds after its start in which a host whose clock is off takes nothing, whoever is there."""

SWEEP: Final = 5.0
"""Seconds between two looks for idle agents."""


class Host:
    """Runs agents of `types` over the client's connection: `async with Host(moon, [account])`.

    `lease` is in whole seconds, from 1: a killed host is taken over within it plus one second.
    Agents idle for `idle_after` seconds leave memory, and the least used above `max_agents`.
    A handler that keeps the loop over `handler_limit` seconds ends the process, with exit code 79
    (`EXIT_BLOCKED`), and its command is parked by the next owner; 0: it is only named.
    `max_calls` is how many calls run at a time (256). `resources` open what calls need, by name, in
    the place of those that types bring along; they are closed when the host stops.

    While it runs, Python's collector goes through this process's memory rarely (`collector.RARE`),
    unless `collect_rarely` is off or the application has set thresholds of its own.

    With `metrics` commands are counted and timed, for `HostPages`: less than 1 % of processor time.
    """

    def __init__(
        self,
        moon: "Client",
        types: Sequence[AgentType[Any]],
        *,
        lease: int = 5,
        idle_after: float = 300.0,
        max_agents: int = 100_000,
        handler_limit: float = LIMIT,
        max_calls: int | None = None,
        resources: Mapping[str, Resource] = MappingProxyType({}),
        collect_rarely: bool = True,
        metrics: bool = False,
    ) -> None:
        if not isinstance(lease, int) or lease < 1:
            raise InvalidSettings(f"lease={lease!r}: give whole seconds, at least 1")
        if not handler_limit >= 0 or 0 < handler_limit < 1:
            raise InvalidSettings(
                f"handler_limit={handler_limit!r}: give seconds, at least 1, or 0 for no limit"
            )
        if max_calls is not None and (type(max_calls) is not int or not 1 <= max_calls <= 10_000):
            raise InvalidSettings(f"max_calls={max_calls!r}: give 1 to 10,000")
        names = [agent_type.name for agent_type in types]
        if len(set(names)) != len(names) or not names:
            raise InvalidSettings(f"a host needs agent types of different names, not {names}")
        self.types = {agent_type.name: agent_type for agent_type in types}
        self.id = ""
        self.failure: BaseException | None = None
        self._moon = moon
        self._lease = lease
        self._idle_after = idle_after
        self._max_agents = max_agents
        self._handler_limit = handler_limit
        self.running = Running()
        self.beats: Beats | None = None
        self._loop_watch: LoopWatch | None = None
        self._max_calls = max_calls
        self._resources = resources
        self._collects_rarely = collect_rarely
        self._metrics = metrics
        self.loop_lag = Histogram()
        """How late the loop was, of a host with `metrics`."""
        self._lag = LoopLag(self.loop_lag)
        self._revision = 0
        self._renewed = 0.0
        self._running = False

    async def __aenter__(self) -> "Host":
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Check and register the types, take a lease, and own what is free of the fair share.

        Raises `InvalidAgentType`, `InvalidSettings`, `Unavailable`; then nothing runs.
        """
        moon = self._moon
        bus = moon.bus
        for agent_type in self.types.values():
            agent_type.check()
            agent_type.state_code()  # worked out here once, and not at some command
        self._tasks = Tasks(self._died)
        self._process = f"h-{bus.entropy.token()}"
        self._lives = 0
        self.services = HostServices(
            bus, moon.registry, self.running, Meter() if self._metrics else None
        )
        self._recoveries = Recoveries(self.services, self._is_cold, self._died)
        self._leases = Leases(bus, self._lease)
        self._time = ServerTime(bus.clock, self.services.hlc)
        self._renewing = asyncio.Lock()
        self._stamp = 0, 0.0, 0.0
        self._clock_off = 0.0
        self._calls = CallRunner(self.services, most=self._max_calls, resources=self._resources)
        for agent_type in self.types.values():
            self._calls.check(agent_type)
        self._unhook = bus.on_reconnect(self._reconnected)
        self._watch = HostWatch(self._leases, bus.clock)
        self.services.newer.begin(self._versions, self._watch.look_now)
        self._ownership = Ownership(
            self.services,
            self._recoveries,
            self._leases,
            self.types,
            self._tasks,
            holds=lambda: self.lease_holds,
            look_again=self._watch.look_again,
            stream_gone=lambda: self._streams.look_soon(),
            on_death=self._died,
        )
        self._streams = StreamWatch(
            self.services,
            lambda: self.owned,
            self._watch.look_again,
        )
        self._log_facts = LogFacts(self.running, lambda: self.id)
        self._running = True
        self._watch_loop()
        if moon.another is not None:  # a world's lines go nowhere
            self._log_facts.open()
            if self._metrics:
                self._lag.open()
        if self._collects_rarely:
            collector.collect_rarely()
        try:
            await self._watch.open()
            await self._settle()
            await self._streams.learn(list(self.types))
            await self._register(self.types.values())
            await self._join()
            await self._place()
            for agent_type in self.types.values():
                await self._calls.open(agent_type)
        except BaseException:
            await self.stop()
            raise
        self._spawn_rounds()
        log.info("a host runs", host=self.id, types=sorted(self.types))

    def _spawn_rounds(self) -> None:
        """What goes on for as long as it runs."""
        scrubber = Scrubber(self.services, lambda: self.owned)
        self._tasks.spawn(self._renew_for_ever(), f"lease {self.id}")
        self._tasks.spawn(self._place_for_ever(), f"place {self.id}")
        self._tasks.spawn(self._sweep_for_ever(), f"sweep {self.id}")
        self._tasks.spawn(self._streams.watch_for_ever(), f"streams {self.id}")
        self._tasks.spawn(scrubber.run(), f"scrub {self.id}")

    async def _settle(self) -> None:
        """Go by the topology that stands; what differs from it is an operator's to change."""
        bus = self.services.bus
        for step in await settle_topology(bus):
            if step.action == "update":
                self.services.alarm(
                    "a stream is not what was asked for",
                    stream=step.stream,
                    why=", ".join(step.differences),
                    fix="moonlet topology apply",
                )
        for name in self.types:
            bus.topology.journal_of(name)

    async def add(self, agent_type: AgentType[Any]) -> None:
        """Run another type too, on a host that has started; raises as `start`."""
        if agent_type.name in self.types:
            raise InvalidSettings(f"agent type {agent_type.name} runs on this host already")
        agent_type.check()
        self.services.bus.topology.journal_of(agent_type.name)
        self._calls.check(agent_type)
        await self._streams.learn([agent_type.name])
        await self._register([agent_type])
        self.types[agent_type.name] = agent_type
        await self._renew()
        self._leases.tell()
        await self._place()
        await self._calls.open(agent_type)

    async def _register(self, types: Iterable[AgentType[Any]]) -> None:
        moon = self._moon
        hosts = [lease for lease in await self._leases.hosts() if lease.host != self.id]
        runs = {*self.types, *(agent_type.name for agent_type in types)}

        def joins(name: str, pool: frozenset[str]) -> bool:
            """Whether all who run a type of the pool, we among them, run all of it and `name`."""
            others = (set(lease.types) for lease in hosts if pool & set(lease.types))
            return pool <= runs and all(name in theirs for theirs in others)

        counts = {agent_type.name: agent_type.partitions for agent_type in types}
        await moon.registry.register(counts, joins)
        for agent_type in types:
            moon.learn(agent_type)

    async def stop(self) -> None:
        """Stop pulling, finish what is in flight, hand over, leave: within 10 s, whatever hangs.

        What is not handed over by then is dropped, and taken over once the lease has run out.
        """
        if not self._running:
            return
        self._running = False
        if self._collects_rarely:
            collector.collect_as_before()
        self._unhook()
        if not await _ends(self._ownership.close(self._end_tasks), HAND_OVER):
            log.warning(
                "what this host owns could not be handed over in time: it is taken over once the"
                " lease has run out; does the server answer, do effects wait for room?",
                host=self.id,
                seconds=HAND_OVER,
            )
            await _ends(self._end_tasks(), LET_GO)
            await _ends(self._ownership.drop_all(), LET_GO)
        await _ends(self._recoveries.close(), LET_GO)
        with contextlib.suppress(MoonletError):  # the next host then knows a little less
            await _ends(self._streams.leave(), LET_GO)
        try:
            if self.id and not await _ends(self._leases.leave(self.id), LET_GO):
                log.info("the lease will run out by itself", host=self.id)
            self._leases.tell()
        except MoonletError as error:
            log.info("the lease will run out by itself", host=self.id, error=str(error))
        await self._watch.close()
        if self._loop_watch is not None:
            self._loop_watch.stop()
        log.info("a host has stopped", host=self.id)
        self._log_facts.close()
        self._lag.close()

    def _watch_loop(self) -> None:
        """Have another thread look at what keeps this loop, unless it is simulated."""
        if self._moon.another is not None:
            self._loop_watch = LoopWatch(
                self.running,
                self._moon.another,
                limit=self._handler_limit,
                lease=self._lease,
                host=lambda: self.id,
                beats=self.beats,
            )
            self._loop_watch.start()

    async def _end_tasks(self) -> None:
        await self._calls.close()
        await self._tasks.close()

    # ownership

    @property
    def partitions(self) -> list[tuple[str, int]]:
        """What this host owns now, sorted."""
        return sorted(self._ownership.partitions)

    @property
    def agents(self) -> int:
        """How many agents are in memory."""
        return sum(len(partition.agents) for partition in self._ownership.partitions.values())

    @property
    def lease_holds(self) -> bool:
        """Whether the lease can't have run out, by our own clock."""
        return self.services.bus.clock.monotonic() - self._renewed < self._lease

    @property
    def lease_left(self) -> float:
        """Seconds until the lease may have run out, by our own clock; 0 if it may have."""
        age = self.services.bus.clock.monotonic() - self._renewed
        return max(0.0, self._lease - age)

    @property
    def owned(self) -> list[OwnedPartition]:
        """The partitions that it owns now, in no order."""
        return list(self._ownership.partitions.values())

    def partition(self, type: str, number: int) -> OwnedPartition | None:
        """An owned partition; None if it is another's."""
        return self._ownership.partitions.get((type, number))

    def _is_cold(self, id: AgentId) -> bool:
        """Whether it is this host's, and its state is not in memory."""
        agent_type = self.types.get(id.type)
        if agent_type is None:
            return False
        place = id.type, partition_of(id.key, agent_type.partitions)
        partition = self._ownership.partitions.get(place)
        if partition is None:
            return False
        agent = partition.agents.get(id.key)
        return agent is None or agent.fold is None

    async def _join(self) -> None:
        bus = self.services.bus
        self._lives += 1
        self.id = f"{self._process}-{self._lives}"
        self._started = bus.clock.now_us()
        self._joined = bus.clock.monotonic()
        self._revision = 0
        await self._renew()

    async def _renew(self) -> None:
        clock = self.services.bus.clock
        async with self._renewing:  # two at a time would take each other for another host
            asked = clock.monotonic()
            lease = HostLease(
                self.id,
                sorted(self.types),
                self._started,
                self._clock_off,
                self._versions(),
                self.services.newer.left,
            )
            try:
                self._revision = await self._leases.renew(lease, self._revision)
            except Conflict:
                # Nobody else writes it: it ran out, or a renewal of ours landed without an answer.
                landed = await self._leases.revision(self.id) if self.lease_holds else 0
                if not landed:
                    raise
                reached("a renewal without an answer had landed")
                asked = clock.monotonic()
                self._revision = await self._leases.renew(lease, landed)
            self._stamp = self._revision, asked, clock.monotonic()
            self._renewed = asked
        self._leases.tell(self.id)

    async def _renew_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self._lease / 3 if self.lease_holds else 0.1)
            try:
                await self._renew()
            except Conflict:
                # It ran out, or somebody ended it: start as a newcomer.
                await self._start_over()
            except MoonletError as error:
                log.info("the lease can't be renewed", host=self.id, error=str(error))
                if not self.lease_holds:
                    await self._ownership.drop_all()

    async def _start_over(self) -> None:
        log.warning("the lease was lost", host=self.id)
        await self._ownership.drop_all()
        try:
            await self._join()
        except MoonletError as error:
            log.info("joining again waits", error=str(error))

    async def _place_for_ever(self) -> None:
        while True:
            await self._watch.wait(self.id)
            settled = False
            try:
                if self.lease_holds:
                    settled = await self._place()
            except MoonletError as error:
                log.info("placement waits", host=self.id, error=str(error))
            if not settled:
                self._watch.look_again()

    async def _place(self) -> bool:
        """One look at who lives and owns what, and what follows; whether nothing had to."""
        asked = self.services.bus.clock.monotonic()
        hosts, records = await self._leases.look()
        self._watch.saw(lease.host for lease in hosts)
        changed = self.services.newer.saw(self.id, hosts, asked)
        if self._judge_clock() or changed:
            await self._renew()
            self._leases.tell()
            hosts, records = await self._leases.look()
        for host in await self._leases.end_overdue():
            self.services.alarm("the server did not end a lease that had run out", host=host)
        settled = await self._ownership.follow(self.id, hosts, records, claims=self._may_claim)
        return settled and self._time.known

    @property
    def _may_claim(self) -> bool:
        """Not before the server's time is known; if the clock is off others come first, who may
        just be starting.
        """
        if not self._time.known:
            return False
        return not self._clock_off or (
            self.services.bus.clock.monotonic() - self._joined >= STAND_BACK
        )

    def _judge_clock(self) -> bool:
        """Compare our clock with the server's stamp; whether what the others know has changed."""
        revision, asked, answered = self._stamp
        stored = self._leases.stored(self.id)
        if stored is not None and stored.revision == revision:
            self._time.measure(asked, answered, stored.time)
        off = self._time.off
        if abs(off) > TELL:
            self.services.alarm(
                "this host's clock is off", host=self.id, seconds=round(off, 3), limit=REFUSE
            )
        known, self._clock_off = self._clock_off, round(off, 3) if abs(off) > REFUSE else 0.0
        return bool(known) is not bool(self._clock_off)

    def _versions(self) -> dict[str, str]:
        """The application's versions of its types, as far as they have one."""
        versions = ((name, agent_type.version) for name, agent_type in sorted(self.types.items()))
        return {name: version for name, version in versions if version}

    # keeping house

    def _reconnected(self) -> None:
        for partition in self._ownership.partitions.values():
            partition.doubt()
        self.services.ends.reconnected()
        self._tasks.spawn(self._learn_incarnations(), "incarnations")

    async def _learn_incarnations(self) -> None:
        attempt = 0
        for name in self.types:
            while True:
                attempt += 1
                try:
                    await self.services.ends.incarnation(
                        self.services.bus.topology.journal_of(name)
                    )
                    break
                except MoonletError as error:
                    log.info("a journal can't be asked", type=name, error=str(error))
                await self.services.bus.backoff(attempt)

    async def _sweep_for_ever(self) -> None:
        while True:
            await asyncio.sleep(min(SWEEP, self._idle_after))
            before = self.services.bus.clock.monotonic() - self._idle_after
            over = self.agents - self._max_agents
            for partition in self.owned:
                over -= partition.passivate_idle(before, max(0, over))

    def _died(self, error: BaseException) -> None:
        """A background task died: that is a bug of ours; the manager reports it as unhealthy."""
        self.failure = error


async def _ends(work: Awaitable[None], seconds: float) -> bool:
    """Whether `work` has ended in time; if not, it is cancelled."""
    try:
        async with asyncio.timeout(seconds):
            await work
    except TimeoutError:
        return False
    return True
