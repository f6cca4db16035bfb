"""The consumers that feed one owned partition: a lane of a queue each, and the fired timers."""

from collections.abc import Callable
from typing import Final

from moonlet.agents.deciding import Source, lane_index
from moonlet.agents.services import HostServices
from moonlet.core.errors import Conflict, MoonletError
from moonlet.core.ids import LANES
from moonlet.streams import Delivery, Intake, Partition, ServerRefused
from moonlet.telemetry import get_logger

log = get_logger(__name__)

CREDIT: Final = {"critical": 512, "high": 512, "medium": 512, "low": 128}
"""Deliveries of one lane of one partition that are in memory or on their way."""


class PartitionQueues:
    """Consumers named after the ownership's revision, so that a takeover fences the one before."""

    def __init__(
        self,
        services: HostServices,
        record: Partition,
        deliver: Callable[[int, Source, Delivery], None],
        lost: Callable[[], None],
    ) -> None:
        self._services = services
        self._record = record
        self._name = f"{record.type}-p{record.number}"
        self._deliver = deliver
        self._lost = lost
        self._intakes: list[Intake] = []

    async def open(self) -> None:
        """Create the consumers and have them deliver. Raises what the server says."""
        bus = self._services.bus
        type_, number = self._record.type, self._record.number
        for family, stream in (
            ("cmd", bus.topology.stream("mailboxes")),
            ("in", bus.topology.stream("internal")),
        ):
            for lane in LANES:
                filter = bus.subjects.lane_filter(family, type_, number, lane)
                await self._open(stream, f"{family}-{lane}", filter, lane)
        timers = bus.topology.stream("timers")
        await self._open(timers, "fire", bus.subjects.fire_filter(type_, number), "high")

    async def _open(self, stream: str, what: str, filter: str, lane: str) -> None:
        index = lane_index(lane)

        def deliver(intake: Intake, delivery: Delivery) -> None:
            self._deliver(index, intake, delivery)

        intake = Intake(
            self._services.bus,
            stream,
            f"{self._name}-{what}-r{self._record.revision}",
            filter,
            credit=CREDIT[lane],
            on_delivery=deliver,
            on_lost=self._lost,
        )
        self._intakes.append(intake)
        try:
            await intake.open()
        except ServerRefused as error:
            await self._remove_lower(stream, what, error)
            await intake.open()

    async def _remove_lower(self, stream: str, what: str, error: ServerRefused) -> None:
        """Delete what an owner before us left behind; a higher revision is the newer owner's."""
        js = self._services.bus._js
        prefix = f"{self._name}-{what}-r"
        for name in await js.consumer_names(stream):
            revision = name.removeprefix(prefix)
            if name.startswith(prefix) and revision.isdigit():
                if int(revision) > self._record.revision:
                    raise Conflict(f"{self._name} has a newer owner, {name}") from error
                if int(revision) < self._record.revision:
                    await js.delete_consumer(stream, name)

    def pause(self) -> None:
        """Have nothing more delivered; what arrives from now on comes again to the next owner."""
        for intake in self._intakes:
            intake.pause()

    async def close(self, *, delete: bool) -> None:
        """Stop; with `delete` the unacknowledged rest is free for the next owner at once."""
        for intake in self._intakes:
            try:
                await intake.close(delete=delete)
            except MoonletError as error:
                log.info("a consumer stays behind", consumer=intake.name, error=str(error))
