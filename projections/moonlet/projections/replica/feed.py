"""A journal's feed: every commit it stores is folded, in its order, from the frontier on.

The consumer is ours alone and forgets nothing: it starts behind the frontier that the file holds.
Whenever anything is odd (a gap in its deliveries, fewer arrived than were sent, silence, a
reconnect) it is made anew; and with every consumer the journal is probed.
"""

import asyncio
from typing import Final

from moonlet.core.errors import Corrupt, Unavailable
from moonlet.projections.errors import PoisonedEvent
from moonlet.projections.replica.materialized_view import MaterializedView
from moonlet.projections.replica.probe import digest_of, probe
from moonlet.projections.values import JournalId
from moonlet.streams import (
    Bus,
    HistoryReader,
    Journal,
    ServerRefused,
    StoredMessage,
    StreamGone,
    last_message,
    skips_of,
    stream_facts,
    with_record,
)
from moonlet.telemetry import get_logger

log = get_logger(__name__)

LOOK: Final = 0.05
"""Seconds between looks at the journal's end, while somebody waits and nothing comes."""

RISE: Final = 1.0
"""The same while nobody waits, of a journal of which only some subjects are read."""


class JournalFeed:
    """Folds one journal into its view until it is cancelled, or something must stop it."""

    def __init__(self, bus: Bus, journal: JournalId, materialized: MaterializedView) -> None:
        self._bus = bus
        self._journal = journal
        self._materialized = materialized
        self._reader: HistoryReader | None = None
        self.live = True
        """Whether the journal is being read; not while it can't be reached."""

    async def run(self) -> None:
        """Fold for ever. Raises `JournalFault`, `PoisonedEvent`, the file's errors: all final."""
        attempt = 0
        try:
            while True:
                before = self._at
                try:
                    await self._follow()
                except (Unavailable, ServerRefused) as error:
                    log.info("waiting for a journal", journal=self._journal.name, error=str(error))
                self.live = False
                attempt = 1 if self._at > before else attempt + 1
                await self._bus.backoff(attempt)
        finally:
            self.live = False

    def restart(self) -> None:
        """Make the consumer anew, from the frontier as it is then."""
        if self._reader is not None:
            self._reader.give_up()

    def look(self) -> None:
        """Somebody waits: find out whether the frontier may rise."""
        if self._reader is not None:
            self._reader.wake()

    @property
    def _at(self) -> int:
        state = self._materialized.state
        return state.vector[state.journals.index[self._journal.name]]

    # -- one consumer ----------------------------------------------------------------------------

    async def _follow(self) -> None:
        """One consumer's life; returns when another is needed."""
        name, subjects = self._journal.name, self._journal.subjects
        state, at = self._materialized.state, self._at
        mark = state.marks[state.journals.index[name]]
        reader = HistoryReader(self._bus, name, subjects, start=at + 1, name="view")
        self._reader = reader
        try:
            async with reader:
                # After the consumer, which lives and dies with the stream that it was created on.
                await probe(self._bus, self._journal, self._at, mark)
                self.live = True
                await self._read(reader)
        except (ServerRefused, StreamGone):
            # A stream that is gone can't have a consumer; the probe says so in better words.
            await probe(self._bus, self._journal, self._at, mark)
            raise
        finally:
            self._reader = None

    async def _read(self, reader: HistoryReader) -> None:
        name = self._journal.name
        while not reader.broken:
            if not reader.has_more:
                lacking = self._materialized.lacks(name)
                await reader.wait(LOOK if lacking else RISE if self._is_filtered else None)
            batch = reader.take()
            if batch:
                await self._fold(reader, batch)
            elif self._is_filtered or self._materialized.lacks(name):
                await self._rise(reader)

    async def _fold(self, reader: HistoryReader, batch: list[StoredMessage]) -> None:
        name, materialized = self._journal.name, self._materialized
        whole: list[StoredMessage] = []
        lost: PoisonedEvent | None = None
        for message in batch:
            try:
                whole.append(await with_record(self._bus, name, message))
            except Corrupt as error:
                if materialized.leaves_out(name, message.sequence):
                    whole.append(message)
                    continue
                lost = materialized.poisoned(name, message.sequence, error)
                lost.__cause__ = error
                break
        while not reader.broken:  # else it is perhaps another journal by now
            try:
                materialized.fold(name, whole)
                break
            except PoisonedEvent as error:
                if not await self._is_left_out(error, whole):
                    raise
                materialized.pass_over(name, error.sequence)
        if lost is not None and not reader.broken:
            raise lost
        await asyncio.sleep(0)

    async def _is_left_out(self, error: PoisonedEvent, batch: list[StoredMessage]) -> bool:
        """Whether a repair of its agent leaves out this record, which nobody can read."""
        if error.type != "Commit":
            return False
        subjects = {message.sequence: message.subject for message in batch}
        agent = self._bus.subjects.journal_agent(subjects[error.sequence])
        if agent is None:
            return False
        skip = (await skips_of(Journal(self._bus, self._journal.name), agent)).get(error.sequence)
        return skip is not None and skip.what == "record"

    @property
    def _is_filtered(self) -> bool:
        return self._journal.subjects != (">",)

    async def _rise(self, reader: HistoryReader) -> None:
        """Take the frontier to the journal's end, if nothing of ours stands before it.

        The end is read first: what is stored later can't be missed.
        """
        name, bus = self._journal.name, self._bus
        facts = await stream_facts(bus, name)
        end = 0 if facts is None else facts.last
        if end <= self._at:
            return
        for subject in self._journal.subjects:
            last = await last_message(bus, name, subject)
            if last is not None and last.sequence > self._at:
                return
        message = await Journal(bus, name).message(end)
        digest = "" if message is None else digest_of(name, message)
        if not reader.broken and not reader.has_more:
            self._materialized.rise(name, end, digest)
