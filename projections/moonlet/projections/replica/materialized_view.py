"""What a replica holds: the view's state, its file, and who waits for it to get further."""

import asyncio
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from moonlet.core.errors import Corrupt, Undecodable
from moonlet.core.frontier import Frontier
from moonlet.projections.errors import DatabaseLocked, PoisonedEvent
from moonlet.projections.exchange import apply_delta
from moonlet.projections.files import FILES, Disk, ViewDatabase
from moonlet.projections.values import Dot, JournalId, Mark
from moonlet.projections.view import View, ViewState
from moonlet.streams import StoredMessage, decode_commit
from moonlet.telemetry import get_logger

log = get_logger(__name__)

LOCK_PATIENCE: Final = 30.0
"""Seconds for which another process's lock on the file is borne; then the replica stops."""

LOCK_PAUSE: Final = 5.0
"""Seconds between tries to write while the file is locked: each may block for two."""

SAVE_EVERY: Final = 1_000
"""Commits folded in one transaction, at most."""


class MaterializedView:
    """State and file, which move together. Synchronous: a batch is folded and saved in one go."""

    def __init__(
        self,
        view: View,
        journals: Iterable[JournalId],
        path: Path,
        *,
        skipped: Iterable[Dot] = (),
        search: Iterable[str] = (),
        disk: Disk = FILES,
    ) -> None:
        """Open or create the file; raises as `ViewDatabase` does."""
        self.state = ViewState(view, journals, skipped=skipped)
        self.database = ViewDatabase(path, self.state, search=search, disk=disk)
        self.durable = self.state.frontier
        """What is in the file; never ahead of it."""
        self._leave_out = {(dot.journal, dot.sequence) for dot in self.state.skipped}
        self._waiters: list[tuple[Frontier, asyncio.Future[None]]] = []
        self._watchers: list[asyncio.Future[None]] = []
        self._digest: tuple[list[int], str] = ([], "")
        self._locked_since: float | None = None
        self._next_try = 0.0

    @property
    def durable_by_journal(self) -> dict[str, int]:
        """`durable` by name of every journal that is folded; 0 where nothing was."""
        return {name: self.durable.at(name) for name in self.state.journals.names}

    # -- moving on -------------------------------------------------------------------------------

    def fold(self, journal: str, messages: Sequence[StoredMessage]) -> None:
        """Fold and save the next messages of a journal; those folded before are passed over.

        Raises `PoisonedEvent`, with what came before it folded and saved; and the file's errors.
        """
        vector, index = self.state.vector, self.state.journals.index[journal]
        for start in range(0, len(messages), SAVE_EVERY):
            try:
                for message in messages[start : start + SAVE_EVERY]:
                    if message.sequence > vector[index]:
                        self._fold_one(journal, message)
            except PoisonedEvent:
                self._moved()
                raise
            self._moved()

    def _fold_one(self, journal: str, message: StoredMessage) -> None:
        state = self.state
        if self._leave_out and self.leaves_out(journal, message.sequence):
            state.advance(journal, message.sequence)
            return
        try:
            commit, encoding = decode_commit(journal, message)
        except (Undecodable, Corrupt) as error:
            raise self.poisoned(journal, message.sequence, error) from error
        state.fold(commit, journal, encoding=encoding)

    def pass_over(self, journal: str, sequence: int) -> None:
        """The record there is left out by a repair of its agent, for all readers."""
        self.state.advance(journal, sequence)

    def leaves_out(self, journal: str, sequence: int) -> bool:
        """Whether it was decided to skip this commit."""
        journals = self.state.journals
        return (journals.tags[journals.index[journal]], sequence) in self._leave_out

    def poisoned(self, journal: str, sequence: int, error: Exception) -> PoisonedEvent:
        """The error for a stored commit that can't be read."""
        view = self.state.view
        return PoisonedEvent(
            f"view {view.name}@{view.version} stopped at {journal} sequence {sequence}: {error}."
            " Restore it and retry, or skip it",
            view=view.name,
            stream=journal,
            sequence=sequence,
            index=0,
            type="Commit",
        )

    def rise(self, journal: str, sequence: int, digest: str) -> None:
        """Raise the frontier to a journal's end: nothing up to it is left to fold.

        `digest` is that of the commit at `sequence`, for probes; empty if it isn't known.
        """
        state = self.state
        index = state.journals.index[journal]
        if sequence <= state.vector[index]:
            return
        state.advance(journal, sequence)
        if digest:
            state.marks[index] = (sequence, digest)
        self._moved()

    def join(self, delta: bytes, marks: Sequence[Mark], ends: Frontier) -> bool:
        """Join a peer's delta and save; False if it brought nothing. Raises as `apply_delta`.

        `marks` are the peer's, checked against the journals before; the newer ones are kept.
        """
        state = self.state
        if not apply_delta(state, delta, ends=ends):
            return False
        for index, mark in enumerate(marks):
            if state.marks[index][0] < mark[0] <= state.vector[index]:
                state.marks[index] = mark
        self._moved()
        return True

    def _moved(self) -> None:
        self.save()
        watchers, self._watchers = self._watchers, []
        for watcher in watchers:
            if not watcher.done():
                watcher.set_result(None)
        if self._waiters:
            frontier = self.state.frontier
            for token, future in self._waiters:
                if not future.done() and frontier.covers(token):
                    future.set_result(None)
            self._waiters = [waiter for waiter in self._waiters if not waiter[1].done()]

    def save(self) -> None:
        """Write what isn't in the file yet. A lock of another process is borne for a while."""
        state = self.state
        frontier = state.frontier
        loop = asyncio.get_running_loop()
        if frontier == self.durable or (self._locked_since and loop.time() < self._next_try):
            return
        try:
            self.database.save()
        except DatabaseLocked as error:
            now = loop.time()
            self._locked_since = self._locked_since or now
            self._next_try = now + LOCK_PAUSE
            if now - self._locked_since > LOCK_PATIENCE:
                raise
            log.warning("a view's file is locked", view=state.view.name, error=str(error))
            return
        self._locked_since = None
        self.durable = frontier

    # -- waiting and reading ---------------------------------------------------------------------

    def relevant(self, token: Frontier) -> Frontier:
        """The token without journals that the view doesn't fold."""
        known = self.state.journals.index
        return Frontier({name: n for name, n in token.sequences.items() if name in known})

    def lacks(self, journal: str) -> bool:
        """Whether somebody waits for more of this journal."""
        at = self.state.vector[self.state.journals.index[journal]]
        return any(token.at(journal) > at for token, _ in self._waiters)

    def reached(self, token: Frontier) -> "asyncio.Future[None]":
        """Done once the frontier covers `token`, which must be `relevant`."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.state.frontier.covers(token):
            future.set_result(None)
        else:
            self._waiters = [waiter for waiter in self._waiters if not waiter[1].done()]
            self._waiters.append((token, future))
        return future

    def moved(self) -> "asyncio.Future[None]":
        """Done when the frontier has moved from where it is now."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._watchers = [watcher for watcher in self._watchers if not watcher.done()]
        self._watchers.append(future)
        return future

    def take_waiters(self, other: "MaterializedView") -> None:
        """Who waited for what was held of this view before waits for this now."""
        self._watchers += other._watchers
        other._watchers = []
        waiters, other._waiters = other._waiters, []
        for token, future in waiters:
            if self.state.frontier.covers(token) and not future.done():
                future.set_result(None)
            else:
                self._waiters.append((token, future))

    def tell_waiters(self, error: BaseException) -> None:
        """Whoever waits gets this error instead."""
        futures = [*self._watchers, *(future for _, future in self._waiters)]
        self._watchers, self._waiters = [], []
        for future in futures:
            if not future.done():
                future.set_exception(error)

    def digest(self) -> str:
        """The state's digest, computed once for a frontier."""
        vector, digest = self._digest
        if vector != self.state.vector:
            digest = self.state.digest
            self._digest = (list(self.state.vector), digest)
        return digest

    def digest_at_hand(self) -> str:
        """The digest if it was computed at this frontier, else empty."""
        vector, digest = self._digest
        return digest if vector == self.state.vector else ""

    def close(self) -> None:
        """Close the file."""
        self.database.close()
