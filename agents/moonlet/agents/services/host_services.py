"""What all agents of one host share: the bus and what writes to it, the clock, and the alarms."""

import asyncio
from typing import Any

from moonlet.agents.deciding import Running
from moonlet.agents.services.backlog import Backlog
from moonlet.agents.services.journal_ends import JournalEnds
from moonlet.agents.services.meter import Meter, TimedCommands, TimedWork
from moonlet.agents.services.newer_code import NewerCode
from moonlet.core.hlc import HybridClock
from moonlet.streams import (
    BlockedMarks,
    Bus,
    GroupCommit,
    Journal,
    Mailboxes,
    ParkedStream,
    Registry,
    Snapshots,
    Timers,
)
from moonlet.telemetry import Repeats, get_logger

log = get_logger(__name__)


class HostServices:
    """Made by a host, used by its partitions and agents."""

    def __init__(
        self,
        bus: Bus,
        registry: Registry,
        running: Running | None = None,
        meter: Meter | None = None,
    ) -> None:
        self.bus = bus
        self.registry = registry
        self.mailboxes = Mailboxes(bus)
        self.timers = Timers(bus)
        self.parked = ParkedStream(bus)
        self.snapshots = Snapshots(bus)
        self.hlc = HybridClock()
        self.ends = JournalEnds(bus)
        self.own_running = running or Running()
        self.running = TimedWork(self.own_running, meter) if meter else self.own_running
        self.meter = meter
        """What counts commands; None if nobody asks for that."""
        self.blocked = BlockedMarks(bus)
        self.backlog = Backlog()
        self.searching = asyncio.Lock()
        """Held by whoever goes through an old history: one of a host at a time."""
        self.alarms: dict[str, int] = {}
        self.claims = self.takeovers = 0
        """Partitions claimed, and how many of them of an owner that was gone."""
        self._repeats = Repeats(lambda: bus.clock.monotonic())
        self.newer = NewerCode(bus.clock, self.alarm)
        self._writers: dict[str, GroupCommit] = {}

    def running_of(self, type: str) -> Running:
        """Where it stands what is decided for agents of this type."""
        if self.meter is None:
            return self.running
        return TimedCommands(self.own_running, self.meter.of(type))

    def writer(self, stream: str) -> GroupCommit:
        """The group commit of a journal stream."""
        writer = self._writers.get(stream)
        if writer is None:
            times = self.meter.appends_to(stream) if self.meter is not None else None
            writer = self._writers[stream] = GroupCommit(self.bus, stream, times=times)
        return writer

    @property
    def conflicts(self) -> int:
        """Appends that lost to another commit, or to another history, since the host began."""
        return sum(writer.conflicts for writer in self._writers.values())

    def journal(self, stream: str) -> Journal:
        """The reader of a journal stream."""
        return self.ends.journal(stream)

    async def drain(self) -> None:
        """Wait until no append is in flight."""
        for writer in list(self._writers.values()):  # another's first append may come meanwhile
            await writer.drain()

    def alarm(self, what: str, **facts: Any) -> None:
        """Count what an operator should see, and log it, at most every ten seconds."""
        self.alarms[what] = self.alarms.get(what, 0) + 1
        if self._repeats.due(what):
            log.error(what, count=self.alarms[what], **facts)

    def complain(self, what: str, of: str, *, stack: str = "", **facts: Any) -> None:
        """Log a mistake in the code of agents, with its traceback: of one kind every ten seconds.

        `of` tells kinds apart: the message and the error, say.
        """
        if self._repeats.due(f"{what}/{of}"):
            if stack:
                facts["exception"] = stack
            log.warning(what, **facts)

    def alarm_once(self, what: str, of: str, **facts: Any) -> None:
        """Count it each time, and log it the first time for each `of`, of 1,000 of them."""
        self.alarms[what] = self.alarms.get(what, 0) + 1
        if self._repeats.first(what, of):
            log.error(what, **facts)
