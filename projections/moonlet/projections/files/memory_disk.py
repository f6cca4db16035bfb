"""A disk in memory, for simulations: what was committed survives its user's crash, nothing else."""

import sqlite3
from pathlib import Path
from typing import NamedTuple


class StoredFile(NamedTuple):
    """A file as of its last commit; `number` tells it from another in its place."""

    number: int
    content: bytes


class MemoryDisk:
    """See `Disk`. Every connection has a copy; only the last committed one counts."""

    def __init__(self) -> None:
        self.files: dict[Path, StoredFile] = {}
        self._number = 0

    def connect(self, path: Path, *, timeout: float, read_only: bool = False) -> sqlite3.Connection:
        """A connection to a copy of the file as it is now."""
        connection = sqlite3.connect(":memory:", timeout=timeout, isolation_level=None)
        stored = self.files.get(path)
        if stored is not None:
            connection.deserialize(stored.content)
        if read_only:
            connection.execute("PRAGMA query_only = ON")
        return connection

    def committed(self, path: Path, connection: sqlite3.Connection) -> None:
        """Take the connection's content for the file's."""
        stored = self.files.get(path)
        if stored is None:
            self._number += 1
        number = self._number if stored is None else stored.number
        self.files[path] = StoredFile(number, connection.serialize())

    def identity(self, path: Path) -> object:
        """The file's number; None if there is none."""
        stored = self.files.get(path)
        return None if stored is None else stored.number

    def remove(self, path: Path) -> None:
        """Forget the file."""
        self.files.pop(path, None)

    def replace(self, path: Path, by: Path) -> None:
        """See `Disk.replace`."""
        self.put_back(path, self.files.pop(by))

    def put_back(self, path: Path, stored: StoredFile) -> None:
        """Put an older content, or another file's, into this place, as a backup is restored."""
        self._number += 1
        self.files[path] = StoredFile(self._number, stored.content)
