"""A host: a process, or a part of one, that runs agents while it holds a lease.

The lease only says that it lives. A host that slept past its lease carries on as a newcomer; what
it did in between was fenced by compare-and-set, and its late effects are recognised by receivers.
"""

import asyncio
from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

import msgspec

from moonlet.agents.calls import CallRunner
from moonlet.agents.definition import AgentType
from moonlet.agents.owner import OwnedPartition, Slot
from moonlet.agents.placement import HostWatch, plan_moves
from moonlet.agents.services import HostServices, Tasks
from moonlet.core.errors import Conflict, InvalidSettings, MoonletError
from moonlet.streams import HostLease, Leases, Partition, apply_topology
from moonlet.telemetry import get_logger

if TYPE_CHECKING:
    from moonlet.agents.client.client import Client

log = get_logger(__name__)

SWEEP: Final = 5.0
"""Seconds between two looks for idle agents."""


class Host:
    """Runs agents of `types` over the client's connection: `async with Host(moon, [account])`.

    `lease` is in whole seconds, from 1: a killed host is taken over within it plus one second.
    Agents idle for `idle_after` seconds leave memory, and the least used above `max_agents`.
    """

    def __init__(
        self,
        moon: "Client",
        types: Sequence[AgentType[Any]],
        *,
        lease: int = 5,
        idle_after: float = 300.0,
        max_agents: int = 100_000,
    ) -> None:
        if not isinstance(lease, int) or lease < 1:
            raise InvalidSettings(f"lease={lease!r}: give whole seconds, at least 1")
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
        self._owned: dict[tuple[str, int], OwnedPartition] = {}
        self._slots: dict[tuple[str, int], Slot] = {}
        self._revision = 0
        self._renewed = 0.0
        self._running = False
        self._changing = asyncio.Lock()

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
            bus.topology.journal_of(agent_type.name)
        self._tasks = Tasks(self._died)
        self._process = f"h-{bus.entropy.token()}"
        self._lives = 0
        self.services = HostServices(bus, moon.registry, APP_VERSION)
        self._leases = Leases(bus, self._lease)
        self._calls = CallRunner(self.services, self._tasks)
        self._unhook = bus.on_reconnect(self._reconnected)
        self._watch = HostWatch(self._leases, bus.clock)
        self._running = True
        try:
            await self._watch.open()
            await apply_topology(bus)
            await self._register(self.types.values())
            await self._join()
            await self._place()
            for agent_type in self.types.values():
                await self._calls.open(agent_type)
        except BaseException:
            await self.stop()
            raise
        self._tasks.spawn(self._renew_for_ever(), f"lease {self.id}")
        self._tasks.spawn(self._place_for_ever(), f"place {self.id}")
        self._tasks.spawn(self._sweep_for_ever(), f"sweep {self.id}")

    async def add(self, agent_type: AgentType[Any]) -> None:
        """Run another type too, on a host that has started; raises as `start`."""
        if agent_type.name in self.types:
            raise InvalidSettings(f"agent type {agent_type.name} runs on this host already")
        agent_type.check()
        await self._register([agent_type])
        self.types[agent_type.name] = agent_type
        await self._renew()
        self._leases.tell()
        await self._place()
        await self._calls.open(agent_type)

    async def _register(self, types: Iterable[AgentType[Any]]) -> None:
        moon, journals = self._moon, self._moon.bus.topology.journal_of
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
        for journal in sorted({journals(name) for name in counts}):
            await self.services.ends.incarnation(journal)

    async def stop(self) -> None:
        """Stop pulling, finish what is in flight, hand over, leave. Bounded at about 10 s."""
        if not self._running:
            return
        self._running = False
        self._unhook()
        async with self._changing:
            await self._calls.close()
            await self._tasks.close()
            await self._hand_over(list(self._owned))
            try:
                if self.id:
                    await self._leases.leave(self.id)
                    self._leases.tell()
            except MoonletError as error:
                log.info("the lease will run out by itself", host=self.id, error=str(error))
        await self._watch.close()

    # ownership

    @property
    def partitions(self) -> list[tuple[str, int]]:
        """What this host owns now, sorted."""
        return sorted(self._owned)

    @property
    def agents(self) -> int:
        """How many agents are in memory."""
        return sum(len(partition.agents) for partition in self._owned.values())

    @property
    def lease_holds(self) -> bool:
        """Whether the lease can't have run out, by our own clock."""
        return self.services.bus.clock.monotonic() - self._renewed < self._lease

    def partition(self, type: str, number: int) -> OwnedPartition | None:
        """An owned partition; None if it is another's."""
        return self._owned.get((type, number))

    async def _join(self) -> None:
        bus = self.services.bus
        self._lives += 1
        self.id = f"{self._process}-{self._lives}"
        self._started = bus.clock.now_us()
        self._revision = 0
        await self._renew()

    async def _renew(self) -> None:
        asked = self.services.bus.clock.monotonic()
        lease = HostLease(self.id, sorted(self.types), self._started)
        self._revision = await self._leases.renew(lease, self._revision)
        self._renewed = asked
        self._leases.tell(self.id)

    async def _renew_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self._lease / 3 if self.lease_holds else 0.1)
            try:
                await self._renew()
            except Conflict:
                # It ran out, or a write of ours had no answer: either way, start as a newcomer.
                await self._start_over()
            except MoonletError as error:
                log.info("the lease can't be renewed", host=self.id, error=str(error))
                if not self.lease_holds:
                    await self._drop_all()

    async def _start_over(self) -> None:
        log.warning("the lease was lost", host=self.id)
        await self._drop_all()
        try:
            await self._join()
        except MoonletError as error:
            log.info("joining again waits", error=str(error))

    async def _drop_all(self) -> None:
        async with self._changing:
            dropped, slots = list(self._owned.values()), list(self._slots.values())
            self._owned.clear()  # all at once: none may go on, or be lost, while another closes
            self._slots.clear()
            for slot in slots:
                slot.pause()
            await asyncio.gather(*(partition.close(hand_over=False) for partition in dropped))
            await asyncio.gather(*(slot.close(delete=False) for slot in slots))

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
        """One look at who lives and owns what; claims and releases are done before it returns.

        Returns whether there was nothing to do.
        """
        hosts, records = await self._leases.look()
        self._watch.saw(lease.host for lease in hosts)
        homes = {name: await self.services.registry.home(name) for name in self.types}
        moves = plan_moves(self.id, homes, hosts, records, self._owned)
        async with self._changing:
            if not self._running:
                return True
            await self._hand_over(moves.release, hosts)
            done = await asyncio.gather(
                *(self._leave(record) for record in moves.leave),
                *(self._claim(record) for record in moves.claim),
                return_exceptions=True,  # or the lock would be free while others still claim
            )
            fed = await self._feed(hosts)
        for outcome in done:
            if isinstance(outcome, BaseException):
                raise outcome
        return moves.settled and fed

    async def _leave(self, record: Partition) -> None:
        await self._leases.write(msgspec.structs.replace(record, owner="", crashes=0, note=""))

    async def _claim(self, record: Partition) -> None:
        crashes = record.crashes + 1 if record.owner else 0
        if record.owner.rpartition("-")[0] == self._process:
            # It was ours when the lease was lost: nothing crashed, whatever we were about to do.
            crashes, record = record.crashes, msgspec.structs.replace(record, note="")
        mine = await self._leases.write(
            msgspec.structs.replace(record, owner=self.id, crashes=crashes)
        )
        if mine is None:
            return  # another came first
        self._owned[mine.type, mine.number] = OwnedPartition(
            self.services,
            self.types[mine.type],
            mine,
            lambda: self.lease_holds,
            self._lost_partition,
            self._died,
            self._leases.write,
        )

    async def _feed(self, hosts: Sequence[HostLease]) -> bool:
        """Have what is owned fed as it should be; what can't be is given up. False if there is any.

        A slot is shared while no other living host runs a type of its pool that is not ours there.
        """
        registry = self.services.registry
        living = {name for lease in hosts for name in lease.types}
        if any(registry.known(name) is None for name in living):
            await registry.types()
        slots: dict[tuple[str, int], dict[str, OwnedPartition]] = {}
        for (name, number), partition in self._owned.items():
            slots.setdefault(self._slot_of(name, number), {})[name] = partition
        fresh = [p for own in slots.values() for p in own.values() if p.fresh]
        if fresh:
            stopped = await registry.stopped()
            for partition in fresh:
                partition.begin({id.key for id in stopped if id.type == partition.agent_type.name})
        places = sorted({*slots, *self._slots})
        fed = await asyncio.gather(
            *(self._serve(place, slots.get(place, {}), living) for place in places)
        )
        return all(fed)

    def _slot_of(self, name: str, number: int) -> tuple[str, int]:
        """Which slot feeds it; a type older than pools is alone, under no pool's name."""
        home = self.services.registry.known(name)
        assert home is not None  # it was registered before we could own any of it
        return home.pool or f".{name}", number

    async def _serve(
        self, place: tuple[str, int], own: dict[str, OwnedPartition], living: set[str]
    ) -> bool:
        pool, number = place
        slot = self._slots.get(place)
        if not own:
            if slot is not None:
                del self._slots[place]
                await slot.close(delete=True)
            return True
        if slot is None:
            name = "" if pool.startswith(".") else pool
            slot = Slot(self.services, name, number, lambda: self._lost_slot(place))
            self._slots[place] = slot
        members = self.services.registry.pool(slot.pool)
        shared = bool(slot.pool) and all(name in own for name in members & living)
        try:
            await slot.serve(own, members, shared=shared)
        except MoonletError as error:
            log.warning("owned partitions can't be fed", pool=pool, slot=number, why=str(error))
            await self._give_up(place)
            return False
        return True

    async def _hand_over(
        self, places: Sequence[tuple[str, int]], hosts: Sequence[HostLease] = ()
    ) -> None:
        """Finish what is in flight there, stop being fed, and say that it is free."""
        released = [self._owned[place] for place in places if place in self._owned]
        await asyncio.gather(*(partition.close(hand_over=True) for partition in released))
        for partition in released:
            self._owned.pop((partition.record.type, partition.record.number), None)
        if released:
            await self._feed(hosts)
        await asyncio.gather(*(self._set_free(partition) for partition in released))
        if released:
            self._leases.tell()

    async def _set_free(self, partition: OwnedPartition) -> None:
        try:
            await self._leave(partition.record)
        except MoonletError as error:
            log.info("a partition is handed over late", partition=partition.name, error=str(error))

    def _lost_partition(self, partition: OwnedPartition) -> None:
        """Its record is another's: its slot is served without it at the next look."""
        place = partition.record.type, partition.record.number
        if self._owned.get(place) is partition:
            del self._owned[place]
            self._watch.look_again()
            self._tasks.spawn(partition.close(hand_over=False), f"drop {partition.name}")

    def _lost_slot(self, place: tuple[str, int]) -> None:
        """A newer owner took its consumers away: of what is still ours the leases tell."""
        self._watch.look_again()
        self._tasks.spawn(self._give_up(place), f"drop slot {place[1]} of {place[0]}")

    async def _give_up(self, place: tuple[str, int]) -> None:
        slot = self._slots.pop(place, None)
        if slot is not None:
            slot.pause()
        dropped = [owned for owned in self._owned if self._slot_of(*owned) == place]
        partitions = [self._owned.pop(owned) for owned in dropped]
        await asyncio.gather(*(partition.close(hand_over=False) for partition in partitions))
        if slot is not None:
            await slot.close(delete=False)

    # keeping house

    def _reconnected(self) -> None:
        self.services.ends.reconnected()
        for partition in self._owned.values():
            partition.doubt()
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
            for partition in list(self._owned.values()):
                over -= partition.passivate_idle(before, max(0, over))

    def _died(self, error: BaseException) -> None:
        """A background task died: that is a bug of ours; the manager reports it as unhealthy."""
        self.failure = error


def _app_version() -> str:
    try:
        return version("moonlet")
    except PackageNotFoundError:
        return ""


APP_VERSION: Final = _app_version()
"""Stands in every commit. Read once, at import: later it would be I/O."""
