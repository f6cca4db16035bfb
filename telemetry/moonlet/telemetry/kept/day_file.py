"""The lines of one day in one SQLite file, and an index of their words.

A line's row is its time in microseconds of the day, or one more than the row before if that is
later: so a time is found by row, in the table as in the index, and no index of times is needed.
"""

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from moonlet.core.errors import Corrupt, Unavailable

APPLICATION_ID: Final = 0x4D4F4C47
"""What SQLite's header says if the file is ours: MOLG."""

VERSION: Final = 1

BUSY_SECONDS: Final = 1.0
"""Until a file that another process writes to is tried again later."""

READER_SECONDS: Final = 5.0

_SCHEMA: Final = f"""
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {VERSION};
CREATE TABLE lines (
    line INTEGER PRIMARY KEY, level INTEGER NOT NULL, module TEXT NOT NULL, event TEXT NOT NULL,
    agent TEXT, revision INTEGER, command TEXT, correlation TEXT, host TEXT, trace TEXT, facts TEXT,
    late INTEGER NOT NULL
);
CREATE TABLE modules (name TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE late (micros INTEGER NOT NULL);
INSERT INTO late VALUES (0);
CREATE VIRTUAL TABLE words USING fts5(
    text, ids, tags, content='', columnsize=0, tokenize="unicode61 remove_diacritics 0"
);
INSERT INTO words (words, rank) VALUES ('automerge', 16);
INSERT INTO words (words, rank) VALUES ('crisismerge', 64);
"""
"""Segments of the index are merged later than by default: a fifth less time for each line."""

Row = tuple[
    int, int, str, str, str | None, int | None, str | None, str | None, str | None, str | None, str
]
"""micros of the day, level, module, event, agent … trace, facts as JSON."""

Words = tuple[str, str, str]
"""What of a line is searched: its text, its ids, its tags."""


class ForeignFile(Unavailable):
    """The file is not one of ours, or of newer code: it is left alone."""


class DayFile:
    """Open for writing by one process at a time; others wait `BUSY_SECONDS` for their turn."""

    def __init__(self, path: Path) -> None:
        """Open, or make; raises `ForeignFile`, `Corrupt`, `Unavailable` (locked, full)."""
        self.path = path
        self._modules: set[str] = set()
        self._connection = _connected(path, BUSY_SECONDS)
        try:
            self._begin()
        except BaseException:
            self._connection.close()
            raise

    def _begin(self) -> None:
        connection = self._connection
        with _translated(self.path):
            found = _identity(connection, self.path)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA cache_size = -8000")
            if not found:
                connection.execute("BEGIN IMMEDIATE")
                if not _identity(connection, self.path):  # another may have made it meanwhile
                    for statement in filter(str.strip, _SCHEMA.split(";\n")):
                        connection.execute(statement)
                connection.execute("COMMIT")

    def add(self, rows: Sequence[Row], words: Sequence[Words], after: int) -> int:
        """Add lines in one transaction; returns the last row, which is beyond `after`.

        Raises `Unavailable` if it is locked, or there is no room, `Corrupt` if it is damaged: then
        nothing of it was added.
        """
        connection = self._connection
        with _translated(self.path):
            try:
                connection.execute("BEGIN IMMEDIATE")
                last = connection.execute("SELECT max(line) FROM lines").fetchone()[0] or 0
                late = had = connection.execute("SELECT micros FROM late").fetchone()[0]
                last = max(last, after)
                numbered, indexed = [], []
                for row, (text, ids, tags) in zip(rows, words, strict=True):
                    micros = row[0]
                    last = last + 1 if micros <= last else micros
                    if last - micros > late:
                        late = last - micros
                    numbered.append((last, *row[1:], last - micros))
                    indexed.append((last, text, ids, tags))
                connection.executemany(
                    "INSERT INTO lines VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", numbered
                )
                connection.executemany(
                    "INSERT INTO words (rowid, text, ids, tags) VALUES (?, ?, ?, ?)", indexed
                )
                modules = {row[2] for row in rows}
                if not modules <= self._modules:
                    connection.executemany(
                        "INSERT OR IGNORE INTO modules VALUES (?)", [(name,) for name in modules]
                    )
                if late != had:
                    connection.execute("UPDATE late SET micros = ?", (late,))
                connection.execute("COMMIT")
                self._modules |= modules
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
        return int(last)

    @property
    def bytes(self) -> int:
        """What it takes of the disk, its log of changes included."""
        return size_of(self.path)

    def close(self) -> None:
        """Nothing is lost by a process that is killed instead."""
        try:
            self._connection.close()
        except sqlite3.Error:
            pass  # full, or gone: what was committed stands in the log of changes


def opened_to_read(path: Path) -> sqlite3.Connection:
    """A connection that can't write; raises as `DayFile`."""
    connection = _connected(path, READER_SECONDS, "?mode=ro")
    try:
        with _translated(path):
            connection.execute("PRAGMA query_only = 1")
            if not _identity(connection, path):
                raise Unavailable(f"{path} is empty yet")
    except BaseException:
        connection.close()
        raise
    return connection


def size_of(path: Path) -> int:
    """Bytes of a file of ours, with what stands beside it."""
    total = 0
    for end in ("", "-wal", "-shm"):
        try:
            total += path.with_name(path.name + end).stat().st_size
        except OSError:
            continue
    return total


def _connected(path: Path, seconds: float, mode: str = "") -> sqlite3.Connection:
    try:
        return sqlite3.connect(
            f"{path.absolute().as_uri()}{mode}",
            uri=True,
            timeout=seconds,
            isolation_level=None,
            check_same_thread=False,
        )
    except sqlite3.Error as error:
        raise Unavailable(f"{path} can't be opened: {error}") from None


def _identity(connection: sqlite3.Connection, path: Path) -> bool:
    """Whether it is ours and filled; False if it is empty, `ForeignFile` if it is another's."""
    id = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if id == APPLICATION_ID and version == VERSION:
        return True
    if id == APPLICATION_ID:
        raise ForeignFile(f"{path} was written by another version of Moonlet ({version})")
    if id or connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        raise ForeignFile(f"{path} is no log of Moonlet's: it is left alone")
    return False


class _translated:
    """SQLite's errors as ours."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None: ...

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if not isinstance(error, sqlite3.Error):
            return
        if isinstance(error, sqlite3.OperationalError) and not _is_damage(error):
            raise Unavailable(f"{self._path}: {error}") from None
        raise Corrupt(f"{self._path} is damaged: {error}") from None


def _is_damage(error: sqlite3.Error) -> bool:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or "no such" in str(error)
