"""A view's file read in SQL: one table per field, with `key` and `value`."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import sqlite_utils

from moonlet.core.errors import Invalid
from moonlet.projections.database import BUSY_SECONDS, VIEW_TABLE
from moonlet.projections.disk import FILES, Disk
from moonlet.projections.errors import InvalidDatabase
from moonlet.projections.sqlite_errors import translated


class Rows(NamedTuple):
    """What a query found; `names` are the columns'."""

    names: tuple[str, ...]
    rows: Sequence[tuple[Any, ...]]


def select(database: sqlite_utils.Database, query: str) -> Rows:
    """Run one statement that reads; raises `Invalid` with SQLite's reason."""
    try:
        cursor = database.conn.execute(query)
        names = tuple(column[0] for column in cursor.description or ())
        return Rows(names, cursor.fetchall())
    except (sqlite3.Error, sqlite3.Warning) as error:
        raise Invalid(
            f"SQLite refuses this: {str(error).rstrip('.')}. The file is read-only, for one SELECT;"
            " its tables are the view's fields, with columns key and value"
        ) from None


def open_reader(path: Path, view: str, disk: Disk = FILES) -> sqlite_utils.Database:
    """Read a view's file, as of its last save, while a replica may be using it; close it yourself.

    Raises `InvalidDatabase` if it isn't that view's, and as `read_notes` does.
    """
    if disk.identity(path) is None:
        raise InvalidDatabase(f"there is no file {path}: name the file of a replica")
    with translated(path):
        connection = disk.connect(path, timeout=BUSY_SECONDS, read_only=True)
        try:
            named = "SELECT count(*) FROM sqlite_master WHERE name = ?"
            (known,) = connection.execute(named, (VIEW_TABLE,)).fetchone()
            held = connection.execute(f"SELECT view FROM {VIEW_TABLE}").fetchone() if known else ()
            if held != (view,):
                what = f"view {held[0]}" if held else "no view"
                raise InvalidDatabase(f"{path} holds {what}, not {view}: name another file")
        except BaseException:
            connection.close()
            raise
        return sqlite_utils.Database(connection, execute_plugins=False)
