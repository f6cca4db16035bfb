"""What brings commands and questions to owned partitions: consumers, a lane of a queue each.

One feed serves a partition of one agent type, or that partition of all types of a pool. Its
consumers are named after the ownership's revision, which grows with every claim: who takes over
deletes those of lower revisions, and so fences the owner before.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Final, Protocol

from moonlet.agents.deciding import lane_index
from moonlet.agents.live import LiveAgent, Phase
from moonlet.agents.services import HostServices
from moonlet.core.errors import Conflict, MoonletError
from moonlet.core.ids import LANES
from moonlet.streams import (
    OWNER_CONTROL,
    OWNER_OUTCOME,
    OWNER_QUERY,
    Consumer,
    Delivery,
    Message,
    Subscription,
    owned_queue,
)
from moonlet.telemetry import get_logger

log = get_logger(__name__)

CREDIT: Final = {"critical": 512, "high": 512, "medium": 512, "low": 128}
"""Deliveries of one lane of one feed that are in memory or on their way."""

SERVICES: Final = (OWNER_QUERY, OWNER_OUTCOME, OWNER_CONTROL)

ALL: Final = "*"
"""In place of an agent type: all of the pool."""


class Fed(Protocol):
    """A partition, as far as it is fed."""

    @property
    def closed(self) -> bool:
        """Whether it takes nothing more: what comes is then the next owner's."""
        ...

    @property
    def agents(self) -> Mapping[str, LiveAgent]:
        """Its agents in memory, by their keys."""
        ...

    def agent(self, key: str) -> LiveAgent:
        """The agent of that key, cold if it is not in memory."""
        ...

    def ask(self, service: str, message: Message) -> None:
        """Answer a question that came by that service."""
        ...


class Feed:
    """The consumers of partition `number` of `type`, or of all types of `pool` (`ALL`).

    `fed` are the partitions by their types. `lost` is called once if a newer owner is noticed.
    `rivals` are the types whose former owners' consumers may stand in the way.
    """

    def __init__(
        self,
        services: HostServices,
        type: str,
        pool: str,
        number: int,
        *,
        fed: Mapping[str, Fed],
        revision: int,
        rivals: Collection[str],
        lost: Callable[[], None],
    ) -> None:
        self._services = services
        self._type = type
        self._pool = pool
        self._number = number
        self._fed = fed
        self._only = None if type == ALL else fed[type]
        self._revision = revision
        self._lost = lost
        self.name = _name(type, pool, number)
        self._rivals = {_name(ALL, pool, number), *(_name(t, pool, number) for t in rivals)}
        self._consumers: list[Consumer] = []
        self._subscriptions: list[Subscription] = []
        self._closed = False

    async def open(self) -> None:
        """Listen, create the consumers, and have them deliver.

        Raises `Conflict` if there is a newer owner, `LimitExceeded` if the server takes no more
        consumers, `Unavailable`.
        """
        bus = self._services.bus
        subjects = bus.subjects
        type_, pool, number = self._type, self._pool, self._number
        for service in SERVICES:
            await self._listen(service, subjects.owners(service, type_, pool, number))
        topology = bus.topology
        for family, stream, limit in (
            ("cmd", topology.stream("mailboxes"), topology.mailbox),
            ("in", topology.stream("internal"), topology.internal),
        ):
            for lane in LANES:
                filter = subjects.lane_filter(family, type_, pool, number, lane)
                await self._open(stream, f"{family}-{lane}", filter, lane, limit)
        timers, filter = topology.stream("timers"), subjects.fire_filter(type_, pool, number)
        await self._open(timers, "fire", filter, "high", None)

    def _check_open(self) -> None:
        if self._closed:
            raise Conflict(f"{self.name} was lost while it was opened")

    async def _listen(self, service: str, subject: str) -> None:
        self._check_open()

        def ask(message: Message) -> None:
            fed = self._only or self._fed.get(message.subject.rpartition(".")[2])
            if fed is not None:
                fed.ask(service, message)

        self._subscriptions.append(await self._services.bus.subscribe(subject, ask))

    async def _open(
        self, stream: str, what: str, filter: str, lane: str, limit: int | None
    ) -> None:
        self._check_open()
        index, only, fed = lane_index(lane), self._only, self._fed
        backlog = self._services.backlog
        # Of what may be answered and still in the queue, half is the backlog's.
        half = None if limit is None else limit // 2
        most = None if half is None else max(1, half // 4)

        def holds_nobody_up(agent: LiveAgent, delivery: Delivery) -> bool:
            being_read = agent.phase in (Phase.COLD, Phase.RECOVERING) and not agent.held
            return being_read and backlog.take(str(agent.id), delivery.data, most)

        def deliver(consumer: Consumer, deliveries: list[Delivery]) -> None:
            for delivery in deliveries:
                _, type_, key = delivery.subject.rsplit(".", 2)
                partition = only or fed.get(type_)
                if partition is None:
                    consumer.release()  # nobody runs that type: it comes again to who does one day
                elif not partition.closed:
                    agent = partition.agents.get(key) or partition.agent(key)
                    if agent.fold is None and holds_nobody_up(agent, delivery):
                        agent.offer(index, consumer, delivery, credited=False)
                        consumer.release()
                    else:
                        agent.offer(index, consumer, delivery)

        terms = owned_queue(
            stream,
            f"{self.name}-{what}",
            [filter],
            revision=self._revision,
            rivals=[f"{rival}-{what}" for rival in self._rivals],
        )
        consumer = Consumer(
            self._services.bus,
            terms,
            credit=CREDIT[lane],
            limit=half,
            on_deliveries=deliver,
            on_lost=lambda why: self._lost(),
        )
        self._consumers.append(consumer)
        await consumer.open()

    def pause(self) -> None:
        """Have nothing more delivered; what arrives from now on comes again to the next owner."""
        for consumer in self._consumers:
            consumer.pause()

    async def close(self, *, delete: bool) -> None:
        """Stop; with `delete` the unacknowledged rest is free for the next owner at once."""
        self._closed = True
        for subscription in self._subscriptions:
            await subscription.unsubscribe()
        for consumer in self._consumers:
            try:
                await consumer.close(delete=delete)
            except MoonletError as error:
                log.info("a consumer stays behind", consumer=consumer.name, error=str(error))


def _name(type: str, pool: str, number: int) -> str:
    """How a feed's consumers begin; `+` is in no type's name, so the two kinds can't be mixed."""
    return f"{pool}+p{number}" if type == ALL else f"{type}-p{number}"
