"""A replica's lifecycle: its file is opened and probed, kept up, halted, and closed."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

import sqlite_utils

from moonlet.core.errors import Unavailable
from moonlet.core.frontier import Frontier
from moonlet.projections.errors import PoisonedEvent
from moonlet.projections.exchange import Enrolled, Roster
from moonlet.projections.files import Disk, read_notes, write_replica, write_skipped
from moonlet.projections.replica.control import Status, is_here
from moonlet.projections.replica.materialized_view import MaterializedView
from moonlet.projections.replica.probe import check_incarnation, find_journal
from moonlet.projections.replica.rewind import fold_until
from moonlet.projections.replica.tasks import ReplicaTasks
from moonlet.projections.values import Dot, JournalId
from moonlet.projections.view import View, journals_of
from moonlet.streams import Bus
from moonlet.telemetry import get_logger

log = get_logger(__name__)

NAME_LENGTH: Final = 16
"""Characters of a replica's name."""


class ReplicaLifecycle:
    """What `Replica` has inside. `failure` is what stopped it, if anything did."""

    def __init__(self, view: View, path: Path, search: Iterable[str], disk: Disk) -> None:
        self.view = view
        self.path = path
        self.name = ""
        self.failure: Exception | None = None
        self.paused = False
        self.tasks: ReplicaTasks | None = None
        self.materialized: MaterializedView | None = None
        self.bus: Bus
        self._search = tuple(search)
        self._disk = disk
        self._reader: sqlite_utils.Database | None = None

    # -- up --------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Probe, open the file, and keep it up; raises, and is closed, if anything is wrong."""
        self.failure = None
        try:
            await self._open_file()
        except BaseException as error:
            self._give_up(error)
            raise
        await self.start()

    async def start(self) -> None:
        """Keep up what is open; raises, and is closed, if anything is wrong."""
        self.tasks = ReplicaTasks(self.bus, self.held(), self.name, self._fail)
        try:
            await self.tasks.start()
        except BaseException as error:
            await self.halt()
            self._give_up(error)
            raise

    async def _open_file(self) -> None:
        bus = self.bus
        subjects = journals_of(bus, self.view)
        journals = [await find_journal(bus, name, read) for name, read in subjects.items()]
        notes = read_notes(self.path, self._disk)
        if notes is not None:
            now = {journal.name: journal.incarnation for journal in journals}
            for journal in notes.journals:
                if journal.name in now:
                    check_incarnation(journal, now[journal.name])
        if not self.name and notes is not None and notes.replica:
            # A copy of the file of a replica that runs is another replica.
            if not await is_here(bus, self.view.name, notes.replica):
                self.name = notes.replica
        self.name = self.name or f"r{bus.entropy.token()}"[:NAME_LENGTH]
        self._hold(journals, notes.skipped if notes is not None else ())

    def _hold(self, journals: Iterable[JournalId], skipped: Iterable[Dot]) -> None:
        before = self.materialized
        self.materialized = MaterializedView(
            self.view,
            journals,
            self.path,
            skipped=skipped,
            search=self._search,
            disk=self._disk,
        )
        if before is not None:
            self.materialized.take_waiters(before)
        # Each time, so that a file which can't be written is refused now and not in mid-run.
        write_replica(self.path, self.name, self._disk)

    # -- in between ------------------------------------------------------------------------------

    def held(self) -> MaterializedView:
        """State and file, if they may be read; else raises what stopped the replica."""
        if self.failure is not None and not isinstance(self.failure, PoisonedEvent):
            raise self.failure
        assert self.materialized is not None, "a replica is used inside `async with`"
        return self.materialized

    def reader(self) -> sqlite_utils.Database:
        """The read-only connection, opened once."""
        materialized = self.held()
        if self._reader is None:
            self._reader = materialized.database.reader()
        return self._reader

    async def go_to(self, target: Frontier) -> None:
        """Pause, and become the view as of `target`, which the journals must reach.

        An event on the way that can't be folded stops it there, like any other time.
        """
        await self.pause()
        if not target.covers(self.held().state.frontier):
            self._begin_anew()
        self.failure = None
        try:
            await fold_until(self.bus, self.held(), target)
        except PoisonedEvent as poison:
            self._fail(poison)
            raise
        finally:
            await self._say()

    def _begin_anew(self) -> None:
        """Replace the file by an empty one for the same journals."""
        state = self.held().state
        self.close()
        try:
            self._disk.remove(self.path)
            self._hold(state.journals.ids, state.skipped)
        except BaseException as error:
            self._give_up(error)
            raise

    def leave_out(self, dot: Dot) -> None:
        """Close, and note in the file that a commit is skipped; halt before, open afterwards."""
        skipped = self.held().state.skipped | {dot}
        self.close()
        write_skipped(self.path, skipped, self._disk)

    def _fail(self, error: Exception) -> None:
        """Something stopped it: waiters are told, and reads unless they are still right."""
        if self.failure is None:
            self.failure = error
            log.error("a view stopped", view=self.view.name, replica=self.name, error=str(error))
        self.tell_waiters(error)

    def tell_waiters(self, error: Exception) -> None:
        """Whoever waits gets this error."""
        if self.materialized is not None:
            self.materialized.tell_waiters(error)

    # -- down ------------------------------------------------------------------------------------

    async def halt(self) -> None:
        """End what keeps it up; twice is harmless."""
        if self.tasks is not None:
            await self.tasks.stop(self.standing if self.paused else "closed")
            self.tasks = None

    async def pause(self) -> None:
        """Halt until `start`, and say so."""
        self.paused = True
        if self.tasks is not None:
            await self.halt()
        else:
            await self._say()

    async def leave(self) -> None:
        """Halt for good, and say so; who waits is told, and the file is closed."""
        is_silent = self.tasks is None and self.materialized is not None
        self.paused = False
        await self.halt()
        if is_silent:
            await self._say("closed")
        self.tell_waiters(Unavailable(f"the replica of {self.view.name} was closed: open it again"))
        self.close()

    async def _say(self, standing: str = "") -> None:
        """What its tasks say to the registry, where there are none."""
        assert self.materialized is not None, "a replica is used inside `async with`"
        view, durable = self.view, self.materialized.durable_by_journal
        now = self.bus.clock.now_us()
        standing = standing or self.standing
        await Roster(self.bus).enroll(
            Enrolled(self.name, view.name, view.version, durable, standing, now)
        )

    @property
    def standing(self) -> str:
        """`running`, `paused`, or the name of the error that stopped it."""
        if self.failure is not None:
            return type(self.failure).__name__
        return "paused" if self.paused else "running"

    def status(self) -> Status:
        """How it stands, whatever stopped it.

        While it moves its digest is only told if it is known: whoever asks often must not slow it.
        """
        materialized, failure = self.materialized, self.failure
        assert materialized is not None, "a replica is used inside `async with`"
        poison = failure if isinstance(failure, PoisonedEvent) else None
        state = materialized.state
        digest = ""
        if poison is not None or (failure is None and self.paused):
            digest = materialized.digest()
        elif failure is None:
            digest = materialized.digest_at_hand()
        return Status(
            replica=self.name,
            view=self.view.name,
            version=self.view.version,
            standing=self.standing,
            frontier=dict(zip(state.journals.names, state.vector, strict=True)),
            durable=materialized.durable_by_journal,
            digest=digest,
            peer=self.tasks.exchange.name if self.tasks is not None else "",
            skipped=tuple(f"{dot.journal}/{dot.sequence}" for dot in sorted(state.skipped)),
            failure=str(failure) if failure is not None else "",
            stream=poison.stream if poison is not None else "",
            sequence=poison.sequence if poison is not None else 0,
            type=poison.type if poison is not None else "",
        )

    def close(self) -> None:
        """Close the file; halt before."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None
        if self.materialized is not None:
            self.materialized.close()

    def _give_up(self, error: BaseException) -> None:
        if not isinstance(error, Exception):  # cancelled: it can be tried again
            error = Unavailable(f"the opening of view {self.view.name} was cut short: retry")
        self.failure = error
        self.tell_waiters(error)
        self.close()
