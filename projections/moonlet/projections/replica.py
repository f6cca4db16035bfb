"""A replica: a view in this process, on disk and up to date, read locally."""

import asyncio
from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Protocol

import sqlite_utils

from moonlet.core.errors import Invalid, Unavailable
from moonlet.core.frontier import Frontier
from moonlet.projections import file_notes, rewind
from moonlet.projections.amounts import Amount
from moonlet.projections.disk import FILES, Disk
from moonlet.projections.dots import Dot
from moonlet.projections.errors import PoisonedEvent
from moonlet.projections.explain import FieldPlan
from moonlet.projections.holding import Holding
from moonlet.projections.journals import JournalId
from moonlet.projections.observed import Observed
from moonlet.projections.probe import check_incarnation, find_journal
from moonlet.projections.upkeep import Upkeep
from moonlet.projections.view import Source, View
from moonlet.projections.view_snapshot import store_snapshot
from moonlet.projections.view_subjects import journals_of
from moonlet.streams import Bus
from moonlet.telemetry import get_logger

log = get_logger(__name__)

RETRY_SECONDS: Final = 10.0
"""Within which a replica that is tried again has read what it had read before."""

NAME_LENGTH: Final = 16
"""Characters of a replica's name."""


class Client(Protocol):
    """What a replica needs of `connect()`'s client, which must be open."""

    @property
    def bus(self) -> Bus:
        """Its way to the streams."""
        ...

    @property
    def types(self) -> Mapping[str, Source]:
        """The agent types whose code it knows."""
        ...


class Replica:
    """`async with Replica(moon, exposure, path="exposure.db") as replica:`; reads are local.

    Opening probes every journal and raises `JournalFault` rather than serve what no longer is.
    The file belongs to one replica at a time; losing it costs a rebuild. `search` names fields
    whose values get a full-text index. `disk` is for simulations. Operations (`pause` and what
    follows it) are for one caller at a time.
    """

    def __init__(
        self,
        moon: Client,
        view: View,
        path: str | Path,
        *,
        search: Iterable[str] = (),
        disk: Disk = FILES,
    ) -> None:
        self.view = view
        self.path = Path(path)
        self.name = ""
        """Its own name, kept in the file."""
        self.failure: Exception | None = None
        """What stopped it; after a `PoisonedEvent` it still serves what came before."""
        self.paused = False
        self._moon = moon
        self._search = tuple(search)
        self._disk = disk
        self._holding: Holding | None = None
        self._upkeep: Upkeep | None = None
        self._reader: sqlite_utils.Database | None = None

    async def __aenter__(self) -> "Replica":
        self._bus = self._moon.bus
        self.view.check(self._moon.types.values())
        await self._open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._halt()
        if self._holding is not None:
            closed = Unavailable(f"the replica of {self.view.name} was closed: open it again")
            self._holding.tell_waiters(closed)
        self._close()

    # -- reading ---------------------------------------------------------------------------------

    @property
    def value(self) -> dict[str, Any]:
        """The value of every field, plain data."""
        return self._held().state.value

    @property
    def digest(self) -> str:
        """Hex over name, version, frontier and canonical state; a full pass once per frontier."""
        return self._held().digest()

    @property
    def frontier(self) -> Frontier:
        """Journal → the last sequence that is folded: the session's token for other replicas."""
        return self._held().state.frontier

    @property
    def durable(self) -> Frontier:
        """How far the file is; never ahead of `frontier`."""
        return self._held().durable

    @property
    def db(self) -> sqlite_utils.Database:
        """The file, read-only, for SQL: one table per field, as of the last save."""
        holding = self._held()
        if self._reader is None:
            self._reader = holding.database.reader()
        return self._reader

    def read(self, field: str, key: str | None = None) -> tuple[Any, Observed]:
        """The value of a field, or of one key of it, and the token to write it with."""
        return self._held().state.read(field, key)

    def available(self, field: str, journal: str, key: str = "") -> Amount:
        """What an author in `journal` may spend of a `BoundedCounter`, as far as is known here."""
        return self._held().state.available(field, journal, key)

    def explain(self) -> tuple[FieldPlan, ...]:
        """For each field: does an ordered fold do in the topology in force, or why a CRDT."""
        return self.view.explain(self._bus.topology, self._moon.types.values())

    async def wait_for(self, token: Frontier, *, timeout: float | timedelta = 5.0) -> None:
        """Return once everything that `token` has seen is folded: `moon.token`, or a `frontier`.

        Journals that the view doesn't fold are passed over. Raises what stopped the replica, and
        `Unavailable` when time is up.
        """
        holding = self._held()
        wanted = holding.relevant(token)
        if holding.state.frontier.covers(wanted):
            return
        if self.failure is not None:
            raise self.failure
        reached = holding.reached(wanted)
        for feed in self._upkeep.feeds if self._upkeep is not None else ():
            feed.look()
        limit = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
        try:
            async with asyncio.timeout(limit):
                await reached
        except TimeoutError:
            lacking = {n: at for n, at in wanted.sequences.items() if self.frontier.at(n) < at}
            raise Unavailable(
                f"view {self.view.name} did not reach {lacking} within {limit} s: it is at"
                f" {self.frontier.sequences}{' and paused' if self.paused else ''}; wait longer,"
                " or see in the log whether the journals can be reached"
            ) from None

    def _held(self) -> Holding:
        if self.failure is not None and not isinstance(self.failure, PoisonedEvent):
            raise self.failure
        assert self._holding is not None, "a replica is used inside `async with`"
        return self._holding

    # -- operations ------------------------------------------------------------------------------

    async def pause(self) -> None:
        """Fold nothing more and keep silent, until `resume`; reads go on."""
        self.paused = True
        await self._halt()

    async def resume(self) -> None:
        """Go on after `pause` or `seek`: probe, and follow; raises as opening does."""
        if self.failure is not None:
            await self.retry()
            return
        self.paused = False
        if self._upkeep is None:
            await self._start()

    async def retry(self) -> None:
        """Open the file again, probe, and go on; raises what still stands in the way.

        Returns when everything that was read before can be read again.
        """
        self.paused = False
        await self._halt()
        assert self._holding is not None, "a replica is used inside `async with`"
        before = self._holding.state.frontier
        self._close()
        await self._open()
        await self.wait_for(before, timeout=RETRY_SECONDS)

    async def skip(self) -> None:
        """Leave out the commit that stopped this view, for ever, and go on.

        Replicas that skip different commits don't exchange deltas: their states differ.
        """
        poison = self.failure
        if not isinstance(poison, PoisonedEvent):
            raise Invalid(f"view {self.view.name} isn't stopped by an event: nothing to skip")
        await self._halt()
        state = self._held().state
        tag = state.journals.tags[state.journals.index[poison.stream]]
        skipped = state.skipped | {Dot(tag, poison.sequence)}
        log.warning(
            "a commit is skipped",
            view=self.view.name,
            journal=poison.stream,
            sequence=poison.sequence,
        )
        self._close()
        file_notes.write_skipped(self.path, skipped, self._disk)
        await self._open()

    async def seek(self, frontier: Frontier, *, timeout: float | timedelta = 60.0) -> None:
        """Become the view as of `frontier`, and pause there; journals left out are at their start.

        Going back rebuilds the file from the journals. Raises `Invalid` for a frontier past a
        journal's end, and `PoisonedEvent`; `resume` goes on from wherever it stands then.
        """
        await self.pause()
        limit = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
        holding = self._held()
        if not frontier.covers(holding.state.frontier):
            state = holding.state
            self._close()
            self._disk.remove(self.path)
            self._hold(state.journals.ids, state.skipped)
            file_notes.write_replica(self.path, self.name, self._disk)
        try:
            async with asyncio.timeout(limit):
                await rewind.fold_until(self._bus, self._held(), frontier)
        except TimeoutError:
            raise Unavailable(
                f"view {self.view.name} did not get to {frontier.sequences} within {limit} s: it"
                f" is at {self.frontier.sequences} and paused; seek again to go on"
            ) from None

    async def snapshot(self) -> None:
        """Store the state for replicas that join when no other is there."""
        await store_snapshot(self._bus, self._held().state)

    # -- life ------------------------------------------------------------------------------------

    async def _open(self) -> None:
        """Probe, open the file, and keep it up; raises, and is closed, if anything is wrong."""
        self.failure = None
        try:
            await self._open_file()
        except BaseException as error:
            self._give_up(error)
            raise
        await self._start()

    async def _start(self) -> None:
        self._upkeep = Upkeep(self._bus, self._held(), self.name, self._fail)
        try:
            await self._upkeep.start()
        except BaseException as error:
            await self._halt()
            self._give_up(error)
            raise

    def _give_up(self, error: BaseException) -> None:
        if isinstance(error, Exception):
            self.failure = error
            if self._holding is not None:
                self._holding.tell_waiters(error)
        self._close()

    async def _open_file(self) -> None:
        bus = self._bus
        subjects = journals_of(bus, self.view)
        journals = [await find_journal(bus, name, read) for name, read in subjects.items()]
        notes = file_notes.read_notes(self.path, self._disk)
        if notes is not None:
            now = {journal.name: journal.incarnation for journal in journals}
            for journal in notes.journals:
                if journal.name in now:
                    check_incarnation(journal, now[journal.name])
        skipped = notes.skipped if notes is not None else frozenset[Dot]()
        self._hold(journals, skipped)
        self.name = notes.replica if notes is not None else ""
        self.name = self.name or f"r{bus.entropy.token()}"[:NAME_LENGTH]
        # Each time, so that a file which can't be written is refused now and not in mid-run.
        file_notes.write_replica(self.path, self.name, self._disk)

    def _hold(self, journals: Iterable[JournalId], skipped: Iterable[Dot]) -> None:
        before = self._holding
        self._holding = Holding(
            self.view,
            journals,
            self.path,
            skipped=skipped,
            search=self._search,
            disk=self._disk,
        )
        if before is not None:
            self._holding.take_waiters(before)

    def _fail(self, error: Exception) -> None:
        """Something stopped it: waiters are told, and reads unless they are still right."""
        if self.failure is None:
            self.failure = error
            log.error("a view stopped", view=self.view.name, replica=self.name, error=str(error))
        if self._holding is not None:
            self._holding.tell_waiters(error)

    async def _halt(self) -> None:
        if self._upkeep is not None:
            await self._upkeep.stop("paused" if self.paused else "closed")
            self._upkeep = None

    def _close(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None
        if self._holding is not None:
            self._holding.close()
