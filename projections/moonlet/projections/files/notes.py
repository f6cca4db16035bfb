"""What a replica finds in its view's file before it opens it: the journals it was folded from."""

from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Final, NamedTuple

from moonlet.projections.files.database import (
    BUSY_SECONDS,
    FRONTIER_TABLE,
    VIEW_TABLE,
)
from moonlet.projections.files.disk import Disk
from moonlet.projections.files.sqlite_errors import translated
from moonlet.projections.values import Dot, JournalId

REPLICA_TABLE: Final = "_moonlet_replica"


class Notes(NamedTuple):
    """The file's `journals`, commits that were `skipped`, and the replica's own name, if any."""

    journals: tuple[JournalId, ...]
    skipped: frozenset[Dot]
    replica: str


def read_notes(path: Path, disk: Disk) -> Notes | None:
    """The notes of a view's file; None if there is no file, or it is no view's.

    Raises `DatabaseCorrupt`, `DatabaseLocked`, `InvalidDatabase`.
    """
    if disk.identity(path) is None:
        return None
    with translated(path), closing(disk.connect(path, timeout=BUSY_SECONDS)) as connection:
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


def write_replica(path: Path, name: str, disk: Disk) -> None:
    """Give the replica of this file its name, which it keeps; raises as `read_notes` does."""
    _write(
        path,
        disk,
        (f"CREATE TABLE IF NOT EXISTS {REPLICA_TABLE} (name TEXT NOT NULL)", ()),
        (f"DELETE FROM {REPLICA_TABLE}", ()),
        (f"INSERT INTO {REPLICA_TABLE} VALUES (?)", (name,)),
    )


def write_skipped(path: Path, skipped: Iterable[Dot], disk: Disk) -> None:
    """Note which commits the view leaves out; nobody may have the file open for writing."""
    text = " ".join(f"{dot.journal}/{dot.sequence}" for dot in sorted(skipped))
    _write(path, disk, (f"UPDATE {VIEW_TABLE} SET skipped = ?", (text,)))


def _write(path: Path, disk: Disk, *statements: tuple[str, tuple[str, ...]]) -> None:
    with translated(path), closing(disk.connect(path, timeout=BUSY_SECONDS)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        with connection:
            for statement, values in statements:
                connection.execute(statement, values)
        disk.committed(path, connection)


def _dot(text: str) -> Dot:
    journal, _, sequence = text.rpartition("/")
    return Dot(journal, int(sequence))
