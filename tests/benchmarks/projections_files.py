"""Views in SQLite files: written in batches, and loaded."""

import sqlite3
import tempfile
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

from moonlet.projections import ViewDatabase, ViewState
from moonlet.projections.replica.materialized_view import MaterializedView
from tests.benchmarks.projections_ours import JOURNALS, Replica, commits, map_view
from tests.benchmarks.projections_work import (
    WRITES,
    Writes,
    as_message,
    computed,
    map_writes,
    timed,
)
from tests.benchmarks.rows import Pair, Round, Row, Scale, Work

DURABLE = Row(
    "view: durable writes in batches of 1,000",
    "writes/s",
    "sqlite3's executemany of the same rows",
    bar_value=150_000,
)
DURABLE_WHOLE = Row(
    "view: durable commits, JSON and handler included",
    "commits/s",
    "sqlite3's executemany of the same rows",
    bar_value=150_000,
)
DURABLE_STORED = Row(
    "view: durable commits, all that a replica does but reading",
    "commits/s",
    "sqlite3's executemany of the same rows",
)
LOAD = Row("view: cold load of 10k keys", "ms", "pycrdt after 100k writes", True, bar_value=12)


def bare(folder: str, batches: Sequence[Writes]) -> None:
    """The least that writes the same rows, and a frontier, as often."""
    connection = sqlite3.connect(Path(folder) / "bare.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("CREATE TABLE map (key TEXT PRIMARY KEY, value, state) WITHOUT ROWID")
    connection.execute("CREATE TABLE frontier (sequence)")
    connection.execute("INSERT INTO frontier VALUES (0)")
    number = 0
    for batch in batches:
        rows = [(key, value, number + n) for n, (key, value) in enumerate(batch)]
        number += len(batch)
        connection.execute("BEGIN")
        connection.executemany(
            "INSERT INTO map VALUES (?, ?, ?) ON CONFLICT (key)"
            " DO UPDATE SET value = excluded.value, state = excluded.state",
            rows,
        )
        connection.execute("UPDATE frontier SET sequence = ?", (number,))
        connection.execute("COMMIT")
    connection.close()


async def files(scale: Scale) -> AsyncGenerator[Round, None]:
    from tests.benchmarks import projections_pycrdt

    writes = map_writes(scale.of(WRITES))
    batches = [writes[start : start + 1_000] for start in range(0, len(writes), 1_000)]
    stored = commits(writes)
    messages = [as_message(commit) for commit in stored]
    theirs = projections_pycrdt.Replica()
    theirs.write(writes)
    their_state = theirs.state()

    def durable(folder: str) -> None:
        replica = Replica(map_view)
        database = ViewDatabase(Path(folder) / "view.db", replica.state)
        for batch in batches:
            replica.write(batch)
            database.save()
        database.close()

    def whole(folder: str) -> None:
        state = ViewState(map_view, JOURNALS)
        database = ViewDatabase(Path(folder) / "whole.db", state)
        for number, commit in enumerate(stored, 1):
            state.fold(commit, "asia")
            if number % 1_000 == 0:
                database.save()
        database.close()

    def as_stored(folder: str) -> None:
        materialized = MaterializedView(map_view, JOURNALS, Path(folder) / "stored.db")
        materialized.fold("asia", messages)
        materialized.close()

    def load(folder: str) -> None:
        ViewDatabase(Path(folder) / "view.db", ViewState(map_view, JOURNALS)).close()

    while True:
        with tempfile.TemporaryDirectory(prefix="moonlet-bench-") as folder:
            least = len(writes) / timed(lambda: bare(folder, batches))
            ours = len(writes) / timed(lambda: durable(folder))
            all_of_it = len(writes) / timed(lambda: whole(folder))
            from_messages = len(writes) / timed(lambda: as_stored(folder))
            loaded = computed(lambda: load(folder))
            their_load = computed(lambda: projections_pycrdt.Replica().join(their_state))
        yield {
            DURABLE.name: Pair(ours, least),
            DURABLE_WHOLE.name: Pair(all_of_it, least),
            DURABLE_STORED.name: Pair(from_messages, least),
            LOAD.name: Pair(1_000 * loaded, 1_000 * their_load),
        }


WORKS = (Work((DURABLE, DURABLE_WHOLE, DURABLE_STORED, LOAD), files, rounds=7),)
