"""SQLite's errors as ours: what happened to a view's file, and what to do."""

import contextlib
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from moonlet.core.errors import MoonletError
from moonlet.projections.errors import DatabaseCorrupt, DatabaseLocked, InvalidDatabase


def damaged(path: Path, what: str) -> str:
    """What to say of a damaged file."""
    return (
        f"{path} is damaged: {what}. If it is the view's, delete it (with its -wal and -shm) and"
        " start again: the view is rebuilt from the journals"
    )


_CODES: Final[Mapping[int, type[MoonletError]]] = {
    sqlite3.SQLITE_BUSY: DatabaseLocked,
    sqlite3.SQLITE_LOCKED: DatabaseLocked,
    sqlite3.SQLITE_CORRUPT: DatabaseCorrupt,
    sqlite3.SQLITE_NOTADB: DatabaseCorrupt,
    sqlite3.SQLITE_READONLY: InvalidDatabase,
    sqlite3.SQLITE_CANTOPEN: InvalidDatabase,
    sqlite3.SQLITE_PERM: InvalidDatabase,
    sqlite3.SQLITE_FULL: InvalidDatabase,
}


@contextlib.contextmanager
def translated(path: Path) -> Iterator[None]:
    """SQLite's errors as ours."""
    try:
        yield
    except sqlite3.Error as error:
        # The low byte is the primary code; the rest refines it.
        cls = _CODES.get(getattr(error, "sqlite_errorcode", 0) & 0xFF)
        if cls is DatabaseLocked:
            raise DatabaseLocked(
                f"{path} is locked by another process ({error}): close it, or give each replica a"
                " file of its own"
            ) from None
        if cls is InvalidDatabase:
            raise InvalidDatabase(
                f"{path} can't be opened or written ({error}): check that its folder exists, has"
                " space and may be written to"
            ) from None
        raise DatabaseCorrupt(damaged(path, str(error))) from error
