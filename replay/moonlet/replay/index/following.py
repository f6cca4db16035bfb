"""Bringing an index up to where the journals end, from where it ended: its frontier.

A journal that was made anew, or went back, is known by its incarnation, by its end, and by the
message at the frontier, as projections know it. Then all that the index has of it is dropped and
read again. What is written of a batch and the frontier are one transaction.
"""

import asyncio
import sqlite3
from contextlib import aclosing
from typing import Final

from sqlite_utils import Database

from moonlet.replay.index.database import INDEXES
from moonlet.replay.index.writing import PLACE_BITS, IndexWriter, Piece, mark, refused
from moonlet.replay.sources import HistorySource, JournalFacts, Progress

BULK: Final = 100_000
"""New messages from which SQLite's indexes are made once at the end, which is faster."""


async def follow(
    database: Database,
    source: HistorySource,
    *,
    bodies: bool = False,
    progress: Progress = lambda done, total: None,
) -> int:
    """Index what is new; returns how many messages that were. With `bodies` their text too.

    What is killed on the way is gone on with. Raises as reading does; `Unavailable` while another
    process writes the file.
    """
    journals = await source.journals()
    starts = {facts.stream: await _frontier(database, source, facts) for facts in journals}
    total = sum(max(0, facts.last - starts[facts.stream]) for facts in journals)
    if bodies:
        add_words(database)
    if total >= BULK:
        for name in INDEXES:
            database.conn.execute(f"DROP INDEX IF EXISTS {name}")
    done = 0
    try:
        for facts in journals:
            writer = IndexWriter(database, source, facts, bodies)
            batches = source.messages(facts.stream, start=starts[facts.stream] + 1)
            async with aclosing(batches), _Beside(writer) as beside:
                async for batch in batches:
                    writer.take(batch)
                    done += len(batch)
                    progress(done, max(done, total))
                    if writer.is_full:
                        await beside.write(writer.cut())
                await beside.write(writer.cut())
    finally:
        _make_indexes(database)
    return done


class _Beside:
    """Writes pieces one after the other in a thread, while the next is read.

    At its end, however that comes, what was begun is written.
    """

    def __init__(self, writer: IndexWriter) -> None:
        self._writer = writer
        self._under_way: asyncio.Future[None] | None = None

    async def write(self, piece: Piece | None) -> None:
        """Begin to write it, once the one before is written; raises what that did."""
        await self._done()
        if piece is not None:
            self._under_way = asyncio.ensure_future(asyncio.to_thread(self._writer.write, piece))

    async def _done(self) -> None:
        waited, self._under_way = self._under_way, None
        if waited is not None:
            await asyncio.shield(waited)

    async def __aenter__(self) -> "_Beside":
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        waited = self._under_way
        if waited is None:
            return
        try:
            await asyncio.wait([waited])
        finally:
            while not waited.done():  # cancelled once more: the thread has the connection still
                await asyncio.wait([waited])
        failed = waited.exception()
        if error is None and failed is not None:
            raise failed


def _make_indexes(database: Database) -> None:
    """SQLite's indexes, if they were left out: now, or by somebody who was killed."""
    try:
        with database.conn:
            for name, on in INDEXES.items():
                database.conn.execute(f"CREATE INDEX IF NOT EXISTS {name} ON commits {on}")
    except sqlite3.OperationalError as error:
        raise refused(error) from None


def add_words(database: Database) -> None:
    """Bring the words up to the commits, from their own columns; bodies are there or not."""
    connection = database.conn
    with connection:
        for number, words, last in list(
            connection.execute("SELECT number, words, last FROM journals WHERE words < last")
        ):
            base = number << PLACE_BITS
            connection.execute(
                "INSERT INTO words (rowid, text) SELECT c.place, a.name || ' ' || n.name || ' ' ||"
                " c.command || ' ' || coalesce(replace(c.events, ',', ' '), '') || ' ' ||"
                " coalesce(c.reason, '') FROM commits c JOIN names a ON a.number = c.agent"
                " JOIN names n ON n.number = c.name WHERE c.place > ? AND c.place <= ?",
                [base | words, base | last],
            )
            connection.execute("UPDATE journals SET words = last WHERE number = ?", [number])


async def _frontier(database: Database, source: HistorySource, facts: JournalFacts) -> int:
    """The last sequence that is indexed; what is of another journal of that name is dropped."""
    row = database.execute(
        "SELECT number, incarnation, last, digest FROM journals WHERE stream = ?", [facts.stream]
    ).fetchone()
    if row is None:
        return 0
    number, incarnation, last, digest = row
    if incarnation == facts.incarnation and last <= facts.last:
        message = await source.message(facts.stream, last) if last else None
        if not last or (message is not None and mark(message) == digest):
            return int(last)
    _forget(database, number)
    return 0


def _forget(database: Database, number: int) -> None:
    low, high = number << PLACE_BITS, (number + 1) << PLACE_BITS
    connection = database.conn
    with connection:
        connection.execute("DELETE FROM commits WHERE place >= ? AND place < ?", [low, high])
        connection.execute("DELETE FROM buckets WHERE journal = ?", [number])
        connection.execute("DELETE FROM journals WHERE number = ?", [number])
        # Words of what is gone can't be taken out one by one; they lead to no commit.
