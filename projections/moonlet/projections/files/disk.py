"""Where views' files are: on this machine, or in a simulation, which has a disk of its own."""

import os
import sqlite3
from pathlib import Path
from typing import Final, Protocol

SUFFIXES: Final = ("", "-wal", "-shm")
"""A file and SQLite's logs beside it."""


class Disk(Protocol):
    """A place for SQLite files, by path."""

    def connect(self, path: Path, *, timeout: float, read_only: bool = False) -> sqlite3.Connection:
        """Open or create; transactions are the caller's. `timeout` for locks, in seconds."""
        ...

    def committed(self, path: Path, connection: sqlite3.Connection) -> None:
        """A transaction of this connection was committed: it must survive a crash."""
        ...

    def identity(self, path: Path) -> object:
        """What tells this file from another in its place; None if there is none."""
        ...

    def remove(self, path: Path) -> None:
        """Remove the file and its logs; nobody of ours may have it open."""
        ...

    def replace(self, path: Path, by: Path) -> None:
        """Put the closed file `by` in the place of `path`, at once."""
        ...


class Files:
    """This machine's."""

    def connect(self, path: Path, *, timeout: float, read_only: bool = False) -> sqlite3.Connection:
        """See `Disk.connect`."""
        if read_only:
            uri = f"{path.resolve().as_uri()}?mode=ro"
            return sqlite3.connect(uri, uri=True, timeout=timeout)
        return sqlite3.connect(path, timeout=timeout, isolation_level=None)

    def committed(self, path: Path, connection: sqlite3.Connection) -> None:
        """SQLite has seen to it."""

    def identity(self, path: Path) -> object:
        """Device and inode."""
        try:
            status = os.stat(path)
        except OSError:  # also where it can't be looked at: opening says why
            return None
        return status.st_dev, status.st_ino

    def remove(self, path: Path) -> None:
        """See `Disk.remove`."""
        for suffix in SUFFIXES:
            path.with_name(path.name + suffix).unlink(missing_ok=True)

    def replace(self, path: Path, by: Path) -> None:
        """See `Disk.replace`."""
        # The old file's logs go first: SQLite would take them for the new one's.
        for suffix in SUFFIXES[1:]:
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        by.replace(path)


FILES: Final = Files()
