"""A view's state in an SQLite file: rows and frontier in one transaction.

The file's frontier is the only truth about what is durable; the journals are the source, so a
file that is lost costs a rebuild and nothing else. Each field is a table: `key`, `value` for SQL
(NULL: the key is absent, only its past is kept), `state` for us. A crash leaves the last save.
"""

import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import msgspec
import sqlite_utils

from moonlet.core.errors import MoonletError
from moonlet.projections.errors import (
    DatabaseConflict,
    DatabaseCorrupt,
    InvalidDatabase,
    InvalidView,
)
from moonlet.projections.fields import SEPARATOR, Field, FieldStore
from moonlet.projections.files.disk import FILES, Disk
from moonlet.projections.files.sqlite_errors import damaged, translated
from moonlet.projections.view import ViewState

FORMAT: Final = 1
"""The layout of the tables."""

BUSY_SECONDS: Final = 2.0
"""How long a save waits for another process's lock."""

VIEW_TABLE: Final = "_moonlet_view"
FRONTIER_TABLE: Final = "_moonlet_frontier"


class ViewDatabase:
    """The file of one replica of one view. Not for threads; one process at a time.

    `search` names fields whose values get a full-text index (`<field>_fts`).
    """

    def __init__(
        self,
        path: str | Path,
        state: ViewState,
        *,
        search: Iterable[str] = (),
        disk: Disk = FILES,
    ) -> None:
        """Open or create the file, and load it into `state`, which must be empty.

        Raises `InvalidDatabase`, `DatabaseCorrupt` or `DatabaseLocked`; the file is unchanged.
        """
        assert not any(state.vector), "a file is loaded into a new state"
        self.path = Path(path)
        self._disk = disk
        self._state = state
        self._search = _checked_search(state, search)
        self._generation = 0
        with translated(self.path):
            self._conn = disk.connect(self.path, timeout=BUSY_SECONDS)
            try:
                self._db = sqlite_utils.Database(self._conn, execute_plugins=False)
                self._open()
            except BaseException:
                self._conn.close()
                raise
        disk.committed(self.path, self._conn)
        self._identity = disk.identity(self.path)
        for store in state.stores.values():
            store.settle()
            store.unsaved = set()
        self._upserts = {n: _upsert(n, f) for n, f in state.view.fields.items()}
        self._deletes = {n: _delete(n, f) for n, f in state.view.fields.items()}

    def _open(self) -> None:
        if self._conn.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
            raise DatabaseCorrupt(damaged(self.path, "its pages contradict each other"))
        tables = self._db.table_names()
        if VIEW_TABLE not in tables:
            if tables:
                raise InvalidDatabase(
                    f"{self.path} is another program's database: give the view a path of its own"
                )
            self._conn.execute("PRAGMA journal_mode=WAL")
            with self._db.atomic():
                self._create()
        # A lost tail of the log costs some folding; the file itself stays whole.
        self._conn.execute("PRAGMA synchronous=NORMAL")
        self._check_identity()
        self._load()

    def _create(self) -> None:
        state, view = self._state, self._state.view
        self._db.table(VIEW_TABLE).insert(
            {
                "format": FORMAT,
                "view": view.name,
                "version": view.version,
                "fields": _fields(state),
                "skipped": _skipped(state),
                "generation": 0,
            }
        )
        self._db.table(FRONTIER_TABLE).insert_all(
            [
                {
                    "journal": journal.name,
                    "incarnation": journal.incarnation,
                    "subjects": " ".join(journal.subjects),
                    "sequence": 0,
                    "mark_sequence": 0,
                    "mark_digest": "",
                }
                for journal in state.journals.ids
            ],
            pk="journal",
        )
        for name, field in view.fields.items():
            keys = _keys(field)
            # A column without a type keeps numbers as numbers and text as text. The full-text
            # index needs row ids; a table without them is one tree instead of two.
            self._conn.execute(
                f"CREATE TABLE [{name}] ({', '.join(f'[{key}] TEXT' for key in keys)},"
                f" [value], [state], PRIMARY KEY ({', '.join(keys)}))"
                + ("" if name in self._search else " WITHOUT ROWID")
            )
            if name in self._search:
                self._db.table(name).enable_fts(["value"], create_triggers=True)

    def _check_identity(self) -> None:
        state, view = self._state, self._state.view
        row = next(iter(self._db.table(VIEW_TABLE).rows))
        self._generation = row["generation"]
        if row["format"] != FORMAT:
            raise self._foreign(f"it has format {row['format']}, this code writes {FORMAT}")
        if (row["view"], row["version"]) != (view.name, view.version):
            raise self._foreign(f"it holds {row['view']}@{row['version']}")
        if row["fields"] != _fields(state):
            raise self._foreign(
                f"its fields are {row['fields']}, the code's {_fields(state)}: raise the version"
            )
        if row["skipped"] != _skipped(state):
            raise self._foreign("other commits were skipped in it")
        there = {
            (r["journal"], r["incarnation"], r["subjects"])
            for r in self._db.table(FRONTIER_TABLE).rows
        }
        here = {(j.name, j.incarnation, " ".join(j.subjects)) for j in state.journals.ids}
        if there != here:
            named = ", ".join(" ".join(journal) for journal in sorted(there ^ here))
            raise self._foreign(f"it was folded from other journals ({named})")

    def _foreign(self, why: str) -> InvalidDatabase:
        view = self._state.view
        return InvalidDatabase(
            f"{self.path} can't be used for {view.name}@{view.version}: {why}. Rebuild the view"
            " into another file; the old one can be deleted when nobody reads it"
        )

    def _load(self) -> None:
        state = self._state
        for row in self._db.table(FRONTIER_TABLE).rows:
            index = state.journals.index[row["journal"]]
            state.vector[index] = state.floor[index] = row["sequence"]
            state.marks[index] = (row["mark_sequence"], row["mark_digest"])
        for name, field in state.view.fields.items():
            store = state.stores[name]
            keys = ", ".join(f"[{key}]" for key in _keys(field))
            query = f"SELECT {keys}, [value], [state] FROM [{name}]"
            try:
                store.load(_rows(self._conn.execute(query)))
            except _UNREADABLE as error:
                key = _unreadable_key(store, _rows(self._conn.execute(query)))
                what = f"the row {key!r} of {name} can't be read ({error})"
                raise DatabaseCorrupt(damaged(self.path, what)) from None

    # -- saving ----------------------------------------------------------------------------------

    def save(self) -> int:
        """Write what changed since the last save, in one transaction; returns the rows written.

        Raises `DatabaseLocked`, `DatabaseConflict`, `DatabaseCorrupt`, `InvalidDatabase`; then the
        file holds the last save, and the next one writes all that is missing.
        """
        state = self._state
        state.settle()
        if self._disk.identity(self.path) != self._identity:
            raise DatabaseCorrupt(
                f"{self.path} was deleted or replaced while it was open: start the replica again,"
                " and it will rebuild"
            )
        written = 0
        with translated(self.path), self._db.atomic():
            cursor = self._conn.execute(
                f"UPDATE {VIEW_TABLE} SET generation = generation + 1 WHERE generation = ?",
                (self._generation,),
            )
            if cursor.rowcount != 1:
                raise DatabaseConflict(
                    f"another replica writes to {self.path}: give each replica a file of its own"
                )
            for name, store in state.stores.items():
                assert store.unsaved is not None
                if store.unsaved:
                    written += self._save_field(name, sorted(store.unsaved))
            self._conn.executemany(
                f"UPDATE {FRONTIER_TABLE} SET sequence = ?, mark_sequence = ?, mark_digest = ?"
                " WHERE journal = ?",
                [
                    (sequence, *mark, journal)
                    for sequence, mark, journal in zip(
                        state.vector, state.marks, state.journals.names, strict=True
                    )
                ],
            )
        self._disk.committed(self.path, self._conn)
        self._generation += 1
        for store in state.stores.values():
            store.unsaved = set()
        return written

    def _save_field(self, name: str, keys: list[str]) -> int:
        field, store = self._state.view.fields[name], self._state.stores[name]
        upserts: list[tuple[Any, ...]] = []
        gone: list[str] = []
        for row in store.rows_of(keys):
            key, _, entry = row
            if type(entry) is int:
                upserts.append(row)
            elif entry is None:
                gone.append(key)
            else:
                upserts.append((key, field.column(store, key), entry))
        deletes: list[tuple[str, ...]] = [(key,) for key in gone]
        if len(_keys(field)) == 2:
            upserts = [(*key.split(SEPARATOR, 1), *entry) for key, *entry in upserts]
            deletes = [tuple(key.split(SEPARATOR, 1)) for key in gone]
        if upserts:
            self._conn.executemany(self._upserts[name], upserts)
        if deletes:
            self._conn.executemany(self._deletes[name], deletes)
        return len(keys)

    # -- reading ---------------------------------------------------------------------------------

    def reader(self) -> sqlite_utils.Database:
        """A second, read-only connection for SQL; sees the last save. Close it yourself."""
        with translated(self.path):
            connection = self._disk.connect(self.path, timeout=BUSY_SECONDS, read_only=True)
            return sqlite_utils.Database(connection, execute_plugins=False)

    def close(self) -> None:
        """Close the file; what wasn't saved is folded again next time."""
        self._conn.close()


def _rows(cursor: sqlite3.Cursor) -> Iterable[tuple[str, Any, Any]]:
    if len(cursor.description) == 3:
        return cursor
    return ((key + SEPARATOR + member, value, state) for key, member, value, state in cursor)


def _unreadable_key(store: FieldStore, rows: Iterable[tuple[str, Any, Any]]) -> str:
    for row in rows:
        try:
            store.load([row])
        except _UNREADABLE:
            return row[0]
    return ""


_UNREADABLE: Final = (msgspec.MsgspecError, MoonletError, TypeError, ValueError)


def _keys(field: Field) -> tuple[str, ...]:
    return ("key", "member") if field.is_map and field.type.is_collection else ("key",)


def _upsert(name: str, field: Field) -> str:
    # Not REPLACE, which would fire no triggers, and so leave the full-text index behind.
    columns = [*_keys(field), "value", "state"]
    return (
        f"INSERT INTO [{name}] ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"
        f" ON CONFLICT ({', '.join(_keys(field))})"
        " DO UPDATE SET value = excluded.value, state = excluded.state"
    )


def _delete(name: str, field: Field) -> str:
    return f"DELETE FROM [{name}] WHERE {' AND '.join(f'[{key}] = ?' for key in _keys(field))}"


def _fields(state: ViewState) -> str:
    return ", ".join(f"{name}={field.label}" for name, field in state.view.fields.items())


def _skipped(state: ViewState) -> str:
    return " ".join(f"{dot.journal}/{dot.sequence}" for dot in sorted(state.skipped))


def _checked_search(state: ViewState, search: Iterable[str]) -> frozenset[str]:
    names = frozenset(search)
    unknown = sorted(names - state.view.fields.keys())
    if unknown:
        raise InvalidView(f"view {state.view.name} has no field {', '.join(unknown)} to search")
    return names
