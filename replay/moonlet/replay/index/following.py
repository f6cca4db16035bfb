"""Bringing an index up to where the journals end, from where it ended: its frontier.

A journal that was made anew, or went back, is known by its incarnation, by its end, and by the
message at the frontier, as projections know it. Then all that the index has of it is dropped and
read again. What is written of a batch and the frontier are one transaction.
"""

import sqlite3
from contextlib import aclosing
from hashlib import blake2b
from typing import Any, Final

import msgspec
from sqlite_utils import Database

from moonlet.core.codec import ENCODING_HEADER, unpack
from moonlet.core.digest import DIGEST_HEADER
from moonlet.core.errors import InvalidMessage, LimitExceeded, Unavailable
from moonlet.replay.index.database import INDEXES
from moonlet.replay.sources import HistorySource, JournalFacts, Progress
from moonlet.streams import StoredMessage

PLACE_BITS: Final = 44
"""A commit's place is its journal's number, shifted, and its sequence: up to 17 million million."""

BUCKET: Final = 256
"""Sequences of a journal that are counted together, for drawing."""

WRITTEN_AT_ONCE: Final = 20_000
"""Messages that are written in one transaction."""

BULK: Final = 100_000
"""New messages from which SQLite's indexes are made once at the end, which is faster."""

OUTCOMES: Final = ("accepted", "rejected", "expired", "parked", "repaired", "unreadable")


class _Command(msgspec.Struct, gc=False):
    id: str
    name: str
    sender: str = ""
    correlation_id: str = ""


class _Named(msgspec.Struct, gc=False):
    name: str = ""
    kind: str = ""
    target: str = ""


class _Facts(msgspec.Struct, gc=False):
    """What the index takes of a commit; bodies are passed over."""

    agent: str
    revision: int
    outcome: str
    command: _Command
    time: tuple[int, int]
    reason: str = ""
    events: list[_Named] = []
    effects: list[_Named] = []


_JSON: Final = msgspec.json.Decoder(_Facts)
_PACKED: Final = msgspec.msgpack.Decoder(_Facts)


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
            writer = _Writer(database, source, facts, bodies)
            batches = source.messages(facts.stream, start=starts[facts.stream] + 1)
            async with aclosing(batches):
                async for batch in batches:
                    writer.take(batch)
                    done += len(batch)
                    progress(done, max(done, total))
            writer.flush()
    finally:
        with database.conn:  # whoever was killed before has left them out
            for name, on in INDEXES.items():
                database.conn.execute(f"CREATE INDEX IF NOT EXISTS {name} ON commits {on}")
    return done


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


def mark(message: StoredMessage) -> bytes:
    """Tells a message at a sequence from another that may come to stand there."""
    return blake2b(message.subject.encode() + message.data, digest_size=8).digest()


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


class _Writer:
    def __init__(
        self, database: Database, source: HistorySource, facts: JournalFacts, bodies: bool
    ) -> None:
        self._connection: sqlite3.Connection = database.conn
        self._source = source
        self._facts = facts
        self._bodies = bodies
        self._names: dict[str, int] = {
            name: number for number, name in database.execute("SELECT number, name FROM names")
        }
        self._new: list[tuple[int, str]] = []
        self._known: dict[str, str | None] = {}
        self._rows: list[tuple[Any, ...]] = []
        self._words: list[tuple[int, str]] = []
        self._buckets: dict[int, list[int]] = {}
        self._end: StoredMessage | None = None
        with self._connection:
            self._connection.execute(
                "INSERT OR IGNORE INTO journals (stream, incarnation, last, words, digest)"
                " VALUES (?, ?, 0, 0, ?)",
                [facts.stream, facts.incarnation, b""],
            )
        self._number = self._connection.execute(
            "SELECT number FROM journals WHERE stream = ?", [facts.stream]
        ).fetchone()[0]

    def take(self, batch: list[StoredMessage]) -> None:
        """Read a batch; it is written with others."""
        base = self._number << PLACE_BITS
        for message in batch:
            agent = self._agent(message.subject)
            if agent is None:
                continue
            facts, digest, text = self._read(message, agent)
            place = base | message.sequence
            self._rows.append(self._row(place, facts, digest))
            if self._bodies:
                self._words.append((place, _words(facts, text)))
            micros = facts.time[0]
            bucket = self._buckets.setdefault(message.sequence // BUCKET, [micros, micros, 0, 0])
            bucket[0], bucket[1] = min(bucket[0], micros), max(bucket[1], micros)
            bucket[2] += 1
            bucket[3] += facts.outcome != "accepted"
        self._end = batch[-1]
        if len(self._rows) >= WRITTEN_AT_ONCE:
            self.flush()

    def flush(self) -> None:
        """One transaction: commits, words, buckets, and the frontier."""
        end, connection = self._end, self._connection
        if end is None:
            return
        buckets = [(self._number, number, *counts) for number, counts in self._buckets.items()]
        words = "last" if self._bodies else "words"
        try:
            with connection:
                connection.executemany("INSERT INTO names VALUES (?, ?)", self._new)
                connection.executemany(
                    "INSERT OR REPLACE INTO commits VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)", self._rows
                )
                connection.executemany("INSERT INTO words (rowid, text) VALUES (?, ?)", self._words)
                connection.executemany(
                    "INSERT INTO buckets VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
                    " ON CONFLICT DO UPDATE SET first = min(first, ?3), last = max(last, ?4),"
                    " commits = commits + ?5, refused = refused + ?6",
                    buckets,
                )
                connection.execute(
                    "UPDATE journals SET last = ?, digest = ? WHERE number = ?",
                    [end.sequence, mark(end), self._number],
                )
                connection.execute(
                    f"UPDATE journals SET words = {words} WHERE number = ?", [self._number]
                )
        except sqlite3.OperationalError as error:
            raise Unavailable(
                f"the index can't be written ({error}): another process may write it; try again, or"
                " read it with --stale"
            ) from None
        self._new, self._rows, self._words, self._buckets = [], [], [], {}
        self._end = None

    def _agent(self, subject: str) -> str | None:
        """The agent of a subject, looked at once."""
        if subject in self._known:
            return self._known[subject]
        if len(self._known) > 100_000:
            self._known.clear()
        agent = self._source.subjects.journal_agent(subject)
        found = self._known[subject] = None if agent is None else str(agent)
        return found

    def _read(self, message: StoredMessage, agent: str) -> tuple[_Facts, bytes, str]:
        """What is indexed of a message, its digest, and with bodies its text."""
        headers = message.headers or {}
        try:
            data, encoding = unpack(message.data, headers.get(ENCODING_HEADER))
            facts = (_JSON if encoding == "json" else _PACKED).decode(data)
        except (msgspec.MsgspecError, InvalidMessage, LimitExceeded) as error:
            unreadable = _Command("", "", "", "")
            time = (message.time // 1_000, 0)
            made = _Facts(agent, 0, "unreadable", unreadable, time, str(error))
            return made, b"", ""
        digest = headers.get(DIGEST_HEADER, "")
        raw = bytes.fromhex(digest) if len(digest) == 32 and digest.isalnum() else b""
        text = data.decode(errors="replace") if self._bodies and encoding == "json" else ""
        return facts, raw, text

    def _row(self, place: int, facts: _Facts, digest: bytes) -> tuple[Any, ...]:
        command = facts.command
        outcome = facts.outcome if facts.outcome in OUTCOMES else "unreadable"
        return (
            place,
            self._number_of(facts.agent),
            facts.revision,
            facts.time[0],
            command.id,
            self._number_of(command.name),
            self._number_of(command.sender),
            command.correlation_id or None,
            OUTCOMES.index(outcome),
            ",".join([each.name for each in facts.events]) or None,
            ",".join([each.kind for each in facts.effects]) or None,
            facts.reason or None,
            digest,
        )

    def _number_of(self, name: str) -> int:
        number = self._names.get(name)
        if number is None:
            number = self._names[name] = len(self._names) + 1
            self._new.append((number, name))
        return number


def _words(facts: _Facts, text: str) -> str:
    names = (each.name for each in facts.events)
    command = facts.command
    return " ".join((facts.agent, command.name, command.id, *names, facts.reason, text))
