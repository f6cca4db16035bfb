"""The file of an index: its tables, and refusing a file that is none."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sqlite_utils import Database

from moonlet.core.errors import Corrupt, InvalidSettings, Unavailable

INDEX_VERSION: Final = 2
"""A file of another version is made anew: it is a cache."""

APPLICATION: Final = 0x4D6F6F6E
"""SQLite's application id, `Moon`, by which a file is known to be ours."""

LOCK_WAIT: Final = 5.0
"""Seconds to wait for another process that writes the file."""

_DAMAGE: Final = (UnicodeDecodeError,)
"""What sqlite3 raises beside its own errors where texts are spoiled."""

SCHEMA: Final = """
CREATE TABLE journals (
  number INTEGER PRIMARY KEY, stream TEXT UNIQUE NOT NULL, incarnation TEXT NOT NULL,
  last INTEGER NOT NULL, words INTEGER NOT NULL, digest BLOB NOT NULL);
CREATE TABLE names (number INTEGER PRIMARY KEY, name TEXT UNIQUE NOT NULL);
CREATE TABLE commits (
  place INTEGER PRIMARY KEY, agent INTEGER NOT NULL, revision INTEGER NOT NULL,
  micros INTEGER NOT NULL, command TEXT NOT NULL, name INTEGER NOT NULL, sender INTEGER NOT NULL,
  correlation TEXT, outcome INTEGER NOT NULL, events TEXT, effects TEXT, reason TEXT, digest BLOB);
CREATE TABLE buckets (
  journal INTEGER NOT NULL, number INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
  commits INTEGER NOT NULL, refused INTEGER NOT NULL, PRIMARY KEY (journal, number)) WITHOUT ROWID;
CREATE TABLE keyframes (
  agent TEXT NOT NULL, code BLOB NOT NULL, revision INTEGER NOT NULL, sequence INTEGER NOT NULL,
  micros INTEGER NOT NULL, counter INTEGER NOT NULL, digest BLOB NOT NULL, state BLOB NOT NULL,
  packed INTEGER NOT NULL, mark BLOB NOT NULL, UNIQUE (agent, revision));
CREATE VIRTUAL TABLE words USING fts5 (text, content='', detail=full);
"""


INDEXES: Final = {
    "by_agent": "(agent, revision)",
    "by_command": "(command)",
    "by_correlation": "(correlation) WHERE correlation IS NOT NULL",
}
"""SQLite's indexes of `commits`: name → what it is on."""


def open_existing(path: Path) -> Database:
    """Open a file that is of this version, to be written into if that is allowed; make nothing.

    Raises as `open_database`.
    """
    connection = open_database(path, read_only=True).conn
    connection.close()
    if os.access(path, os.W_OK) and os.access(path.parent, os.W_OK):
        return open_database(path)
    return open_database(path, read_only=True)


def open_database(path: Path | None, *, read_only: bool = False) -> Database:
    """Open or make the file; None: in memory. A file of another version is made anew.

    Raises `InvalidSettings` for one that is not ours or can't be written, `Corrupt` for one that is
    damaged, `Unavailable` while another process holds it.
    """
    if path is None:
        return _made(sqlite3.connect(":memory:", check_same_thread=False))
    shown = f"the index {path}"
    try:
        if read_only:
            connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=LOCK_WAIT)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(path, timeout=LOCK_WAIT, check_same_thread=False)
        return _checked(connection, path, read_only=read_only)
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            raise Unavailable(
                f"{shown} is being written by another process: wait, or read it with --stale"
            ) from None
        raise InvalidSettings(
            f"{shown} can't be opened ({error}): look at its rights, or name another with --index"
        ) from None
    except OSError as error:
        raise InvalidSettings(f"{shown} can't be made: {error.strerror}") from None
    except (sqlite3.DatabaseError, *_DAMAGE) as error:
        raise Corrupt(f"{shown} is damaged ({error}): delete it, it is made anew") from None


@contextmanager
def in_our_words(path: Path | None) -> Iterator[None]:
    """What goes wrong with the file in this block, as `open_database` says it.

    Damage is often met only where a page is looked at.
    """
    shown = "the index" if path is None else f"the index {path}"
    try:
        yield
    except sqlite3.OperationalError as error:
        raise Unavailable(
            f"{shown} can't be used ({error}): another process may write it; try again, or read it"
            " with --stale"
        ) from None
    except (sqlite3.DatabaseError, *_DAMAGE) as error:
        raise Corrupt(f"{shown} is damaged ({error}): delete it, it is made anew") from None


def _checked(connection: sqlite3.Connection, path: Path, *, read_only: bool) -> Database:
    empty = not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if not empty and application != APPLICATION:
        raise InvalidSettings(f"{path} is no index of Moonlet: name another with --index")
    if not empty and version == INDEX_VERSION:
        connection.execute("SELECT count(*) FROM journals").fetchone()
        return Database(connection)
    if read_only:
        raise InvalidSettings(
            f"the index {path} is {'empty' if empty else f'of version {version}'}: leave --stale"
            " out once, and it is made"
        )
    if not empty:
        connection.close()
        path.unlink()
        connection = sqlite3.connect(path, timeout=LOCK_WAIT, check_same_thread=False)
    return _made(connection)


def _made(connection: sqlite3.Connection) -> Database:
    indexes = "".join(f"CREATE INDEX {name} ON commits {on};" for name, on in INDEXES.items())
    connection.executescript(
        "PRAGMA page_size=8192; PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;"
        f"PRAGMA application_id={APPLICATION}; PRAGMA user_version={INDEX_VERSION};"
        f"{SCHEMA}{indexes}"
    )
    return Database(connection)
