"""What keeps a replica up to date: a feed per journal, the exchange, and its reports."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from moonlet.core.errors import LimitExceeded, MoonletError, Unavailable
from moonlet.core.marks import buggify, reached
from moonlet.projections.errors import DeltaGap, DeltaRefused, JournalFault
from moonlet.projections.exchange import Enrolled, Roster, load_snapshot, read_head, store_snapshot
from moonlet.projections.replica.feed import JournalFeed
from moonlet.projections.replica.materialized_view import MaterializedView
from moonlet.projections.replica.peers import FAR_BEHIND, PeerExchange
from moonlet.projections.replica.probe import check_marks, probe
from moonlet.streams import Bus, ServerRefused
from moonlet.telemetry import get_logger

log = get_logger(__name__)

REPORT_SECONDS: Final = 10.0
"""Between reports to the registry, while the frontier moves."""

RUN_LENGTH: Final = 6
"""Characters that tell one run of a replica from another, behind its name and a dash."""

SNAPSHOT_EVERY: Final = 100_000
"""Commits after which the next replica that notices stores a snapshot."""


class ReplicaTasks:
    """The tasks of one replica. The first error of any ends them all, and goes to `on_failure`."""

    def __init__(
        self,
        bus: Bus,
        materialized: MaterializedView,
        name: str,
        on_failure: Callable[[Exception], None],
    ) -> None:
        self._bus = bus
        self._materialized = materialized
        self._name = name
        self._on_failure = on_failure
        self._roster = Roster(bus)
        self._reported: Enrolled | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self.feeds = [
            JournalFeed(bus, journal, materialized) for journal in materialized.state.journals.ids
        ]
        # A copied file has the other's name; on the wire every run has one of its own.
        self.exchange = PeerExchange(
            bus,
            materialized,
            f"{name}-{bus.entropy.token()[:RUN_LENGTH]}",
            unread=self._unread,
            on_joined=self._restart_feeds,
        )

    async def start(self) -> None:
        """Probe every journal, join if that is better than reading all, then follow.

        From here on the registry names it, unless that can't be reached: then it is told later.
        Raises `JournalFault`, `Unavailable`, and the file's errors; `stop` afterwards all the same.
        """
        far = False
        try:
            far = await self._backlog() >= FAR_BEHIND or buggify(
                "a replica joins though it is near"
            )
        except JournalFault as fault:
            if fault.fault != "retention hole":
                raise
            far = True
        await self.exchange.open()
        if far:
            await self.exchange.join()
            await self._join_snapshot()
            await self._backlog()
        await self._report("running")
        for feed in self.feeds:
            self._spawn(feed.run, "feed")
        self._spawn(self.exchange.run, "exchange")
        self._spawn(self._report_for_ever, "reports")

    async def stop(self, standing: str) -> None:
        """End all tasks and say how it stands; twice is harmless."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        try:
            await self.exchange.close()
        except Unavailable:
            pass  # the connection is gone, and what hung on it
        await self._report(standing)

    def _spawn(self, work: Callable[[], Awaitable[None]], name: str) -> None:
        async def guarded() -> None:
            try:
                await work()
            except Exception as error:
                await self._end(error)

        view = self._materialized.state.view.name
        self._tasks.append(asyncio.create_task(guarded(), name=f"view {view}: {name}"))

    async def _end(self, error: Exception) -> None:
        current = asyncio.current_task()
        for task in self._tasks:
            if task is not current:
                task.cancel()
        self.exchange.mute()
        self._on_failure(error)
        await self._report(type(error).__name__)

    def _unread(self) -> set[str]:
        names = self._materialized.state.journals.names
        return {name for name, feed in zip(names, self.feeds, strict=True) if not feed.live}

    def _restart_feeds(self) -> None:
        for feed in self.feeds:
            feed.restart()

    # -- joining ---------------------------------------------------------------------------------

    async def _backlog(self) -> int:
        """Probe every journal; how many commits stand in them that we haven't folded."""
        state = self._materialized.state
        backlog = 0
        for journal, at, mark in zip(state.journals.ids, state.vector, state.marks, strict=True):
            backlog += (await probe(self._bus, journal, at, mark)).last - at
        return backlog

    async def _join_snapshot(self) -> None:
        materialized = self._materialized
        try:
            taken = await load_snapshot(self._bus, materialized.state)
            if taken is not None:
                ends = await check_marks(self._bus, materialized.state.journals.ids, taken.marks)
                if materialized.join(taken.delta, taken.marks, ends):
                    reached("a replica joins a snapshot")
        except (DeltaRefused, DeltaGap, LimitExceeded, Unavailable, ServerRefused) as error:
            log.warning("no snapshot to join", view=materialized.state.view.name, error=str(error))

    # -- reports ---------------------------------------------------------------------------------

    async def _report_for_ever(self) -> None:
        snapshot_at = 0
        while True:
            await asyncio.sleep(REPORT_SECONDS)
            await self._report("running")
            rare = buggify("a snapshot of a view is stored for nothing")
            if rare or sum(self._materialized.state.vector) - snapshot_at >= SNAPSHOT_EVERY:
                snapshot_at = await self._snapshot_if_due(1 if rare else SNAPSHOT_EVERY)

    async def _report(self, standing: str) -> None:
        state = self._materialized.state
        entry = Enrolled(
            self._name,
            state.view.name,
            state.view.version,
            self._materialized.durable_by_journal,
            standing,
            self._bus.clock.now_us(),
        )
        before = self._reported
        if before is None or (before.durable, before.standing) != (entry.durable, standing):
            if await self._roster.enroll(entry):
                self._reported = entry

    async def _snapshot_if_due(self, every: int) -> int:
        """Store a snapshot unless one is less than `every` commits old; how far the newest is."""
        state = self._materialized.state
        try:
            head = await read_head(self._bus, state)
            at = 0 if head is None or head.identity != state.identity else sum(head.vector)
            if sum(state.vector) - at < every:
                return at
            await store_snapshot(self._bus, state)
        except MoonletError as error:
            log.info("no snapshot was stored", view=state.view.name, error=str(error))
            return 0
        return sum(state.vector)
