"""What a replica finds in its view's file before it opens it: the journals it was folded from."""

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Final, NamedTuple

from moonlet.projections.database import (
    BUSY_SECONDS,
    FRONTIER_TABLE,
    VIEW_TABLE,
    translated,
)
from moonlet.projections.dots import Dot
from moonlet.projections.journals import JournalId

REPLICA_TABLE: Final = "_moonlet_replica"


class Notes(NamedTuple):
    """The file's `journals`, commits that were `skipped`, and the replica's own name, if any."""

    journals: tuple[JournalId, ...]
    skipped: frozenset[Dot]
    replica: str


def read_notes(path: Path) -> Notes | None:
    """The notes of a view's file; None if there is no file, or it is no view's.

    Raises `DatabaseCorrupt`, `DatabaseLocked`, `InvalidDatabase`.
    """
    if not path.exists():
        return None
    with translated(path), closing(_connect(path)) as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
        if not {VIEW_TABLE, FRONTIER_TABLE} <= tables:
            return None
        journals = tuple(
            JournalId(name, incarnation, tuple(subjects.split(" ")))
            for name, incarnation, subjects in connection.execute(
                f"SELECT journal, incarnation, subjects FROM {FRONTIER_TABLE}"
            )
        )
        (skipped,) = connection.execute(f"SELECT skipped FROM {VIEW_TABLE}").fetchone()
        replica = ""
        if REPLICA_TABLE in tables:
            (replica,) = connection.execute(f"SELECT name FROM {REPLICA_TABLE}").fetchone()
    return Notes(journals, frozenset(map(_dot, skipped.split())), replica)


def write_replica(path: Path, name: str) -> None:
    """Give the replica of this file its name, which it keeps; raises as `read_notes` does."""
    with translated(path), closing(_connect(path)) as connection, connection:
        connection.execute(f"CREATE TABLE IF NOT EXISTS {REPLICA_TABLE} (name TEXT NOT NULL)")
        connection.execute(f"DELETE FROM {REPLICA_TABLE}")
        connection.execute(f"INSERT INTO {REPLICA_TABLE} VALUES (?)", (name,))


def write_skipped(path: Path, skipped: Iterable[Dot]) -> None:
    """Note which commits the view leaves out; nobody may have the file open for writing."""
    text = " ".join(f"{dot.journal}/{dot.sequence}" for dot in sorted(skipped))
    with translated(path), closing(_connect(path)) as connection, connection:
        connection.execute(f"UPDATE {VIEW_TABLE} SET skipped = ?", (text,))


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=BUSY_SECONDS)


def _dot(text: str) -> Dot:
    journal, _, sequence = text.rpartition("/")
    return Dot(journal, int(sequence))
