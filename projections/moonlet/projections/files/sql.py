"""A view's file read in SQL: one table per field, with `key` and `value`."""

import asyncio
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import sqlite_utils

from moonlet.core.errors import Invalid, LimitExceeded
from moonlet.projections.errors import InvalidDatabase
from moonlet.projections.files.database import BUSY_SECONDS, VIEW_TABLE
from moonlet.projections.files.disk import FILES, Disk
from moonlet.projections.files.sqlite_errors import translated

MAX_ROWS: Final = 100_000
"""Rows that a query may find."""

LOOK_EVERY: Final = 10_000
"""SQLite's steps between two looks whether the query is still wanted."""

_READING: Final = frozenset(
    (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE)
)
_PRAGMAS: Final = frozenset(
    ("table_info", "table_xinfo", "table_list", "index_list", "index_info", "data_version")
)


class Rows(NamedTuple):
    """What a query found; `names` are the columns'."""

    names: tuple[str, ...]
    rows: Sequence[tuple[Any, ...]]


def select(database: sqlite_utils.Database, query: str) -> Rows:
    """Run one statement that only reads, and touches no other file.

    Ends when the task is cancelled. Raises `Invalid` with SQLite's reason, and `LimitExceeded`.
    """
    connection = database.conn
    connection.set_authorizer(_judge)
    connection.set_progress_handler(_is_unwanted, LOOK_EVERY)
    try:
        cursor = connection.execute(query)
        rows = cursor.fetchmany(MAX_ROWS + 1)
        if cursor.description is None:
            raise sqlite3.Warning("it is no query")
    except (sqlite3.Error, sqlite3.Warning) as error:
        if _is_unwanted():
            raise asyncio.CancelledError from None
        raise Invalid(
            f"SQLite refuses this: {str(error).rstrip('.')}. The file is read-only, for one SELECT;"
            " its tables are the view's fields, with columns key and value"
        ) from None
    finally:
        connection.set_progress_handler(None, 0)
        connection.set_authorizer(None)
    if len(rows) > MAX_ROWS:
        raise LimitExceeded(
            f"the query finds more rows than the limit of {MAX_ROWS:,}: add LIMIT, or sum up",
            limit=MAX_ROWS,
            value=len(rows),
        )
    return Rows(tuple(column[0] for column in cursor.description), rows)


def _judge(action: int, name: str | None, value: str | None, *_: str | None) -> int:
    """SQLite asks for each thing that a statement would do; ATTACH and VACUUM write files."""
    if action in _READING:
        return sqlite3.SQLITE_OK
    reads = action == sqlite3.SQLITE_PRAGMA and name in _PRAGMAS
    return sqlite3.SQLITE_OK if reads else sqlite3.SQLITE_DENY


def _is_unwanted() -> bool:
    try:
        task = asyncio.current_task()
    except RuntimeError:
        return False
    return task is not None and task.cancelling() > 0


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
