"""What may be wrong with a replica's file: refused by name, with nothing changed, or rebuilt."""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from moonlet.core.errors import MoonletError
from moonlet.core.frontier import Frontier
from moonlet.projections import (
    DatabaseConflict,
    DatabaseCorrupt,
    DatabaseLocked,
    InvalidDatabase,
    Replica,
)
from tests.faulty import until
from tests.projections.authors import Opened, World, exposure_view


async def write(world: World, count: int = 3, usd: int = 1) -> Frontier:
    sequence = 0
    for _ in range(count):
        sequence = await world.authors.append("us/a", Opened("aave", usd))
    return Frontier({world.stream("us"): sequence})


async def file_of(world: World, path: Path) -> tuple[Frontier, str]:
    """A closed file that holds three commits; its frontier and digest."""
    token = await write(world)
    async with Replica(world.moon, exposure_view(), path) as replica:
        await replica.wait_for(token)
        return replica.frontier, replica.digest


async def refused(world: World, path: Path) -> MoonletError:
    with pytest.raises(MoonletError) as caught:
        async with Replica(world.moon, exposure_view(), path):
            pytest.fail("it was opened")
    assert str(path) in str(caught.value)
    return caught.value


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Another process's lock, as far as SQLite can tell."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Locks are given up on soon."""
    for module in ("database", "notes"):
        monkeypatch.setattr(f"moonlet.projections.files.{module}.BUSY_SECONDS", 0.05)
    monkeypatch.setattr("moonlet.projections.replica.materialized_view.LOCK_PAUSE", 0.05)


async def test_a_closed_file_is_read_again_and_only_the_rest_is_folded(
    world: World, tmp_path: Path
) -> None:
    frontier, digest = await file_of(world, tmp_path / "v.db")
    async with Replica(world.moon, exposure_view(), tmp_path / "v.db") as replica:
        assert (replica.frontier, replica.digest) == (frontier, digest)
        name = replica.name
        await replica.wait_for(await write(world))
        assert replica.value["total"] == 6
    async with Replica(world.moon, exposure_view(), tmp_path / "v.db") as replica:
        assert replica.name == name


async def test_a_copied_older_file_catches_up_and_equals_the_others(
    world: World, tmp_path: Path
) -> None:
    await file_of(world, tmp_path / "old.db")
    shutil.copy(tmp_path / "old.db", tmp_path / "kept.db")
    token = await write(world)
    async with (
        Replica(world.moon, exposure_view(), tmp_path / "old.db") as new,
        Replica(world.moon, exposure_view(), tmp_path / "kept.db") as restored,
    ):
        await new.wait_for(token)
        await restored.wait_for(token)
        assert new.digest == restored.digest


async def test_a_half_written_file_is_refused(world: World, tmp_path: Path) -> None:
    path = tmp_path / "v.db"
    await file_of(world, path)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    assert isinstance(await refused(world, path), DatabaseCorrupt)
    assert path.read_bytes() == data[: len(data) // 2]


async def test_a_file_that_is_no_database_is_refused(world: World, tmp_path: Path) -> None:
    path = tmp_path / "v.db"
    path.write_text("no database at all, but long enough to have a header " * 40)
    assert isinstance(await refused(world, path), DatabaseCorrupt)


async def test_another_programs_database_is_refused(world: World, tmp_path: Path) -> None:
    path = tmp_path / "v.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    assert isinstance(await refused(world, path), InvalidDatabase)


async def test_a_folder_that_does_not_exist_is_refused(world: World, tmp_path: Path) -> None:
    assert isinstance(await refused(world, tmp_path / "no" / "v.db"), InvalidDatabase)


async def test_a_read_only_file_is_refused(world: World, tmp_path: Path) -> None:
    path = tmp_path / "v.db"
    await file_of(world, path)
    path.chmod(0o444)
    if os.access(path, os.W_OK):
        # A superuser writes everywhere; what SQLite itself takes for read-only will do.
        path.chmod(0o644)
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA journal_mode=DELETE")
        data = bytearray(path.read_bytes())
        data[18] = 3  # a file format that this SQLite may only read
        path.write_bytes(data)
    assert isinstance(await refused(world, path), InvalidDatabase)


async def test_a_locked_file_is_refused_at_the_start(world: World, tmp_path: Path) -> None:
    path = tmp_path / "v.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        assert isinstance(await refused(world, path), DatabaseLocked)
    async with Replica(world.moon, exposure_view(), path) as replica:
        await replica.wait_for(await write(world))


async def test_a_lock_is_borne_for_a_while_and_reads_go_on(world: World, tmp_path: Path) -> None:
    path = tmp_path / "v.db"
    await file_of(world, path)
    async with Replica(world.moon, exposure_view(), path) as replica:
        before = replica.frontier
        with locked(path):
            token = await write(world)
            await replica.wait_for(token)
            assert replica.value["total"] == 6
            assert replica.durable == before, "reported is only what is in the file"
        await until(lambda: replica.durable == token)
        assert replica.failure is None


async def test_a_lock_that_does_not_end_stops_the_replica(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("moonlet.projections.replica.materialized_view.LOCK_PATIENCE", 0.2)
    path = tmp_path / "v.db"
    await file_of(world, path)
    async with Replica(world.moon, exposure_view(), path) as replica:
        with locked(path):
            token = await write(world)
            await until(lambda: replica.failure is not None)
            assert isinstance(replica.failure, DatabaseLocked)
            with pytest.raises(DatabaseLocked):
                _ = replica.value
        await replica.retry()
        await replica.wait_for(token)
        assert replica.value["total"] == 6


async def test_a_file_deleted_while_open_stops_the_replica_and_is_rebuilt_by_a_retry(
    world: World, tmp_path: Path
) -> None:
    path = tmp_path / "v.db"
    _, digest = await file_of(world, path)
    async with Replica(world.moon, exposure_view(), path) as replica:
        path.unlink()
        token = await write(world)
        await until(lambda: replica.failure is not None)
        assert isinstance(replica.failure, DatabaseCorrupt)
        with pytest.raises(DatabaseCorrupt, match="deleted"):
            replica.read("total")
        with pytest.raises(DatabaseCorrupt):
            await replica.wait_for(token)
        await replica.retry()
        await replica.wait_for(token)
        assert replica.value["total"] == 6
        assert replica.digest != digest


async def test_two_replicas_on_one_file_are_told_apart(world: World, tmp_path: Path) -> None:
    path = tmp_path / "v.db"
    await file_of(world, path)
    async with (
        Replica(world.moon, exposure_view(), path) as one,
        Replica(world.moon, exposure_view(), path) as other,
    ):
        token = await write(world)
        await until(lambda: one.failure is not None or other.failure is not None)
        loser, winner = (one, other) if one.failure is not None else (other, one)
        assert isinstance(loser.failure, DatabaseConflict)
        await winner.wait_for(token)
        assert winner.value["total"] == 6


async def test_sql_reads_the_last_save_and_cannot_write(world: World, tmp_path: Path) -> None:
    await write(world)
    async with Replica(world.moon, exposure_view(), tmp_path / "v.db", search=["risk"]) as replica:
        await replica.wait_for(await write(world))
        assert list(replica.db.query("select value from total")) == [{"value": 6}]
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            replica.db.execute("delete from total")
