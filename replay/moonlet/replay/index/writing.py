"""What an index takes of a journal's messages, and writing it down."""

import sqlite3
from hashlib import blake2b
from itertools import chain
from typing import Any, Final

import msgspec
from sqlite_utils import Database

from moonlet.core.errors import Unavailable
from moonlet.replay.index.facts import UNREADABLE, read_all
from moonlet.replay.sources import HistorySource, JournalFacts
from moonlet.streams import Facts, StoredMessage

PLACE_BITS: Final = 44
"""A commit's place is its journal's number, shifted, and its sequence: up to 17 million million."""

BUCKET: Final = 256
"""Sequences of a journal that are counted together, for drawing."""

WRITTEN_AT_ONCE: Final = 20_000
"""Messages that are written in one transaction."""

OUTCOMES: Final = ("accepted", "rejected", "expired", "parked", "repaired", UNREADABLE)


_OUTCOME: Final = {outcome: number for number, outcome in enumerate(OUTCOMES)}


def mark(message: StoredMessage) -> bytes:
    """Tells a message at a sequence from another that may come to stand there."""
    return blake2b(message.subject.encode() + message.data, digest_size=8).digest()


Row = tuple[Any, ...]
"""A row of `commits`."""

COLUMNS: Final = 13
"""Columns of one."""


class Piece(msgspec.Struct, frozen=True, gc=False):
    """What is written in one transaction: all behind sequence `start` up to the message `end`."""

    start: int
    end: StoredMessage
    names: list[tuple[int, str]]
    rows: list[Row]
    words: list[tuple[int, str]]
    buckets: list[tuple[int, ...]]


def refused(error: Exception) -> Unavailable:
    """What to do about a file that can't be written."""
    return Unavailable(
        f"the index can't be written ({error}): another process may write it; try again, or"
        " read it with --stale"
    )


class IndexWriter:
    """What is read of one journal, in pieces that are written; by one thread at a time."""

    def __init__(
        self, database: Database, source: HistorySource, facts: JournalFacts, bodies: bool
    ) -> None:
        self._connection: sqlite3.Connection = database.conn
        self._source = source
        self._bodies = bodies
        self._names: dict[str, int] = {
            name: number for number, name in database.execute("SELECT number, name FROM names")
        }
        self._new: list[tuple[int, str]] = []
        self._known: dict[str, str] = {}
        self._rows: list[Row] = []
        self._words: list[tuple[int, str]] = []
        self._buckets: dict[int, list[int]] = {}
        self._end: StoredMessage | None = None
        with self._connection:
            self._connection.execute(
                "INSERT OR IGNORE INTO journals (stream, incarnation, last, words, digest)"
                " VALUES (?, ?, 0, 0, ?)",
                [facts.stream, facts.incarnation, b""],
            )
        self._number, self._last = self._connection.execute(
            "SELECT number, last FROM journals WHERE stream = ?", [facts.stream]
        ).fetchone()

    def take(self, batch: list[StoredMessage]) -> None:
        """Read a batch; it is written with others. A million times: so it looks up little."""
        base, known, names = self._number << PLACE_BITS, self._known, self._names
        add, bodies, outcomes = self._rows.append, self._bodies, _OUTCOME
        number, bucket = -1, [0, 0, 0, 0]
        for message, (facts, digest, text) in zip(batch, read_all(batch, bodies), strict=True):
            subject, sequence = message.subject, message.sequence
            agent = known.get(subject) or self._agent(subject)
            if not agent:
                continue
            revision, told, micros, id, name, sender, correlation, events, effects, reason = facts
            place, outcome = base | sequence, outcomes.get(told, 5)
            add(
                (
                    place,
                    names.get(agent) or self._number_of(agent),
                    revision,
                    micros,
                    id,
                    names.get(name) or self._number_of(name),
                    names.get(sender) or self._number_of(sender),
                    correlation or None,
                    outcome,
                    events,
                    effects,
                    reason or None,
                    digest,
                )
            )
            if bodies:
                self._words.append((place, _words(agent, facts, text)))
            if sequence // BUCKET != number:
                number = sequence // BUCKET
                bucket = self._buckets.setdefault(number, [micros, micros, 0, 0])
            if micros < bucket[0]:
                bucket[0] = micros
            elif micros > bucket[1]:
                bucket[1] = micros
            bucket[2] += 1
            if outcome:
                bucket[3] += 1
        self._end = batch[-1]

    @property
    def is_full(self) -> bool:
        """Whether there is enough for a transaction."""
        return len(self._rows) >= WRITTEN_AT_ONCE

    def cut(self) -> Piece | None:
        """What was read since the last cut; None if nothing was."""
        end = self._end
        if end is None:
            return None
        buckets = [(self._number, number, *counts) for number, counts in self._buckets.items()]
        piece = Piece(self._last, end, self._new, self._rows, self._words, buckets)
        self._new, self._rows, self._words, self._buckets = [], [], [], {}
        self._last, self._end = end.sequence, None
        return piece

    def write(self, piece: Piece) -> None:
        """One transaction: commits, words, buckets, and the frontier.

        Raises `Unavailable` if the file can't be written, or somebody else has written it.
        """
        connection, end = self._connection, piece.end
        words = "last" if self._bodies else "words"
        try:
            with connection:
                moved = connection.execute(
                    "UPDATE journals SET last = ?, digest = ? WHERE number = ? AND last = ?",
                    [end.sequence, mark(end), self._number, piece.start],
                )
                if moved.rowcount != 1:
                    raise sqlite3.IntegrityError("it was written meanwhile")
                connection.executemany("INSERT INTO names VALUES (?, ?)", piece.names)
                self._insert(piece.rows)
                connection.executemany("INSERT INTO words (rowid, text) VALUES (?, ?)", piece.words)
                connection.executemany(
                    "INSERT INTO buckets VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
                    " ON CONFLICT DO UPDATE SET first = min(first, ?3), last = max(last, ?4),"
                    " commits = commits + ?5, refused = refused + ?6",
                    piece.buckets,
                )
                connection.execute(
                    f"UPDATE journals SET words = {words} WHERE number = ?", [self._number]
                )
        except (sqlite3.OperationalError, sqlite3.IntegrityError) as error:
            raise refused(error) from None

    def _insert(self, rows: list[Row]) -> None:
        """Very many in one statement, during which Python goes on with what else there is."""
        connection = self._connection
        most = connection.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER) // COLUMNS
        one = f"({','.join('?' * COLUMNS)})"
        whole = len(rows) - len(rows) % most
        many = f"INSERT INTO commits VALUES {','.join([one] * most)}"
        for start in range(0, whole, most):
            connection.execute(many, list(chain.from_iterable(rows[start : start + most])))
        connection.executemany(f"INSERT INTO commits VALUES {one}", rows[whole:])

    def _agent(self, subject: str) -> str:
        """The agent of a subject, looked at once; empty if it is none's."""
        found = self._known.get(subject)
        if found is None:
            if len(self._known) > 100_000:
                self._known.clear()
            agent = self._source.subjects.journal_agent(subject)
            found = self._known[subject] = "" if agent is None else str(agent)
        return found

    def _number_of(self, name: str) -> int:
        number = self._names.get(name)
        if number is None:
            number = self._names[name] = len(self._names) + 1
            self._new.append((number, name))
        return number


def _words(agent: str, facts: Facts, text: str) -> str:
    _, _, _, id, name, _, _, events, _, reason = facts
    names = events.split(",") if events else ()
    return " ".join((agent, name, id, *names, reason, text))
