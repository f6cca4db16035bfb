"""What a host owns: partitions claimed, fed, handed over, dropped, as the leases have it."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec

from moonlet.agents.definition import AgentType
from moonlet.agents.owner import OwnedPartition, Slot
from moonlet.agents.placement import Place, plan_moves
from moonlet.agents.recovery import Recoveries
from moonlet.agents.services import HostServices, Tasks
from moonlet.core.errors import LimitExceeded, MoonletError
from moonlet.streams import HostLease, Leases, Partition, StreamGone
from moonlet.telemetry import get_logger

log = get_logger(__name__)


class Ownership:
    """The partitions of one host, and the slots that feed them. Changes of it take turns.

    `types` are the host's, which may grow. `holds` says whether its lease holds; `look_again` is
    called when the leases have to be read soon, `stream_gone` when a stream is missing.
    """

    def __init__(
        self,
        services: HostServices,
        recoveries: Recoveries,
        leases: Leases,
        types: Mapping[str, AgentType[Any]],
        tasks: Tasks,
        *,
        holds: Callable[[], bool],
        look_again: Callable[[], None],
        stream_gone: Callable[[], None],
        on_death: Callable[[BaseException], None],
    ) -> None:
        self.partitions: dict[Place, OwnedPartition] = {}
        self._services = services
        self._recoveries = recoveries
        self._leases = leases
        self._types = types
        self._tasks = tasks
        self._holds = holds
        self._look_again = look_again
        self._stream_gone = stream_gone
        self._on_death = on_death
        self._slots: dict[Place, Slot] = {}
        self._changing = asyncio.Lock()
        self._closed = False

    async def follow(
        self,
        host: str,
        hosts: Sequence[HostLease],
        records: Mapping[Place, Partition],
        *,
        claims: bool = True,
    ) -> bool:
        """Claim and release what `host` should, as these leases have it, and feed what is owned.

        Returns whether there was nothing to do, also when this is closed. Raises what the server
        says of a claim; the others are done all the same. Without `claims` it takes nothing now.
        """
        registry = self._services.registry
        homes = {name: await registry.home(name) for name in self._types}
        moves = plan_moves(host, homes, hosts, records, self.partitions)
        if not claims:
            moves = moves._replace(claim=[], short=moves.short + len(moves.claim))
        async with self._changing:
            if self._closed:
                return True
            await self._hand_over(moves.release, hosts)
            done = await asyncio.gather(
                *(self._leave(record) for record in moves.leave),
                *(self._claim(host, record) for record in moves.claim),
                return_exceptions=True,  # or the lock would be free while others still claim
            )
            fed = await self._feed(hosts)
        for outcome in done:
            if isinstance(outcome, BaseException):
                raise outcome
        return moves.settled and fed

    async def close(self, quiet: Callable[[], Awaitable[None]]) -> None:
        """Hand everything over, after `quiet` has ended what else the host does.

        That comes when no change is half done: a claim that is cut off names an owner that died.
        """
        self._closed = True
        async with self._changing:
            await quiet()
            await self._hand_over(list(self.partitions))

    async def drop_all(self) -> None:
        """The lease was lost: everything is another's, or will be; nothing is finished."""
        async with self._changing:
            dropped, slots = list(self.partitions.values()), list(self._slots.values())
            self.partitions.clear()  # all at once: none may go on, or be lost, while another closes
            self._slots.clear()
            for slot in slots:
                slot.pause()
            await asyncio.gather(*(partition.close(hand_over=False) for partition in dropped))
            await asyncio.gather(*(slot.close(delete=False) for slot in slots))

    # claiming and leaving

    async def _leave(self, record: Partition) -> None:
        await self._leases.write(msgspec.structs.replace(record, owner="", crashes=0, note=""))

    async def _claim(self, host: str, record: Partition) -> None:
        crashes = record.crashes + 1 if record.owner else 0
        if record.owner.rpartition("-")[0] == host.rpartition("-")[0]:
            # It was ours when the lease was lost: nothing crashed, whatever we were about to do.
            crashes, record = record.crashes, msgspec.structs.replace(record, note="")
        mine = await self._leases.write(
            msgspec.structs.replace(record, owner=host, crashes=crashes)
        )
        if mine is None:
            return  # another came first
        self._services.claims += 1
        self._services.takeovers += bool(record.owner)
        if record.owner:
            log.info(
                "a partition was taken over",
                partition=f"{mine.type}/{mine.number}",
                former=record.owner,
                crashes=crashes,
            )
        self.partitions[mine.type, mine.number] = OwnedPartition(
            self._services,
            self._recoveries,
            self._types[mine.type],
            mine,
            self._holds,
            self._lost_partition,
            self._on_death,
            self._leases.write,
        )

    # feeding

    async def _feed(self, hosts: Sequence[HostLease]) -> bool:
        """Have what is owned fed as it should be; what can't be is given up. False if there is any.

        A slot is shared while no other living host runs a type of its pool that is not ours there.
        """
        registry = self._services.registry
        living = {name for lease in hosts for name in lease.types}
        if any(registry.known(name) is None for name in living):
            await registry.types()
        slots: dict[Place, dict[str, OwnedPartition]] = {}
        for (name, number), partition in self.partitions.items():
            slots.setdefault(self._slot_of(name, number), {})[name] = partition
        fresh = [p for own in slots.values() for p in own.values() if p.fresh]
        if fresh:
            stopped, blocked = await registry.stopped(), await self._services.blocked.all()
            for partition in fresh:
                mine = {id.key for id in stopped if id.type == partition.agent_type.name}
                partition.begin(mine, blocked)
        places = sorted({*slots, *self._slots})
        fed = await asyncio.gather(
            *(self._serve(place, slots.get(place, {}), living) for place in places)
        )
        return all(fed)

    def _slot_of(self, name: str, number: int) -> Place:
        """Which slot feeds it; a type older than pools is alone, under no pool's name."""
        home = self._services.registry.known(name)
        assert home is not None  # it was registered before we could own any of it
        return home.pool or f".{name}", number

    async def _serve(self, place: Place, own: dict[str, OwnedPartition], living: set[str]) -> bool:
        pool, number = place
        slot = self._slots.get(place)
        if not own:
            if slot is not None:
                del self._slots[place]
                await slot.close(delete=True)
            return True
        if slot is None:
            name = "" if pool.startswith(".") else pool
            slot = Slot(self._services, name, number, lambda: self._lost_slot(place))
            self._slots[place] = slot
        members = self._services.registry.pool(slot.pool)
        shared = bool(slot.pool) and all(name in own for name in members & living)
        try:
            await slot.serve(own, members, shared=shared)
        except MoonletError as error:
            told = {"pool": pool, "slot": number, "why": str(error)}
            if isinstance(error, LimitExceeded | StreamGone):
                self._services.alarm("owned partitions can't be fed", **told)
            else:
                log.warning("owned partitions can't be fed", **told)
            if isinstance(error, StreamGone):
                self._stream_gone()
            await self._give_up(place)
            return False
        return True

    async def _hand_over(self, places: Sequence[Place], hosts: Sequence[HostLease] = ()) -> None:
        """Finish what is in flight there, stop being fed, and say that it is free."""
        released = [self.partitions[place] for place in places if place in self.partitions]
        await asyncio.gather(*(partition.close(hand_over=True) for partition in released))
        for partition in released:
            self.partitions.pop((partition.record.type, partition.record.number), None)
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

    # losing

    def _lost_partition(self, partition: OwnedPartition) -> None:
        """Its record is another's: its slot is served without it at the next look."""
        place = partition.record.type, partition.record.number
        if self.partitions.get(place) is partition:
            del self.partitions[place]
            self._look_again()
            self._tasks.spawn(partition.close(hand_over=False), f"drop {partition.name}")

    def _lost_slot(self, place: Place) -> None:
        """A newer owner took its consumers away: of what is still ours the leases tell."""
        self._look_again()
        self._tasks.spawn(self._give_up(place), f"drop slot {place[1]} of {place[0]}")

    async def _give_up(self, place: Place) -> None:
        slot = self._slots.pop(place, None)
        if slot is not None:
            slot.pause()
        dropped = [owned for owned in self.partitions if self._slot_of(*owned) == place]
        partitions = [self.partitions.pop(owned) for owned in dropped]
        await asyncio.gather(*(partition.close(hand_over=False) for partition in partitions))
        if slot is not None:
            await slot.close(delete=False)
