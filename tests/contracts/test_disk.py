"""The contract of `Disk`: where views' files are, on this machine and in a simulated one."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from moonlet.projections import ViewDatabase
from moonlet.projections.files import Disk, Files, MemoryDisk
from tests.projections.helpers import Opened, Raised, commit, new_state


@pytest.fixture(params=[Files, MemoryDisk], ids=["files", "in memory"])
def disk(request: pytest.FixtureRequest) -> Disk:
    made: Disk = request.param()
    return made


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "view.db"


def write(disk: Disk, path: Path, value: int) -> None:
    """Commit a value."""
    with closing(disk.connect(path, timeout=1)) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS t (x)")
        connection.execute("INSERT INTO t VALUES (?)", (value,))
        disk.committed(path, connection)


def read(disk: Disk, path: Path) -> list[int]:
    with closing(disk.connect(path, timeout=1, read_only=True)) as connection:
        return [x for (x,) in connection.execute("SELECT x FROM t ORDER BY x")]


def test_what_was_committed_is_there_for_the_next_who_opens(disk: Disk, path: Path) -> None:
    assert disk.identity(path) is None
    write(disk, path, 1)
    write(disk, path, 2)
    assert read(disk, path) == [1, 2]


def test_what_was_not_committed_is_gone(disk: Disk, path: Path) -> None:
    write(disk, path, 1)
    with closing(disk.connect(path, timeout=1)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO t VALUES (2)")
        assert read(disk, path) == [1]
    assert read(disk, path) == [1]


def test_a_commit_leaves_a_files_identity_as_it_is(disk: Disk, path: Path) -> None:
    write(disk, path, 1)
    before = disk.identity(path)
    assert before is not None
    write(disk, path, 2)
    assert disk.identity(path) == before


def test_a_reader_cannot_write(disk: Disk, path: Path) -> None:
    write(disk, path, 1)
    with closing(disk.connect(path, timeout=1, read_only=True)) as connection:
        for statement in ("INSERT INTO t VALUES (2)", "DROP TABLE t", "CREATE TABLE u (x)"):
            with pytest.raises(sqlite3.OperationalError, match="readonly"):
                connection.execute(statement)
    assert read(disk, path) == [1]


def test_a_file_that_is_removed_is_gone_and_removing_nothing_is_no_error(
    disk: Disk, path: Path
) -> None:
    disk.remove(path)
    write(disk, path, 1)
    disk.remove(path)
    assert disk.identity(path) is None
    write(disk, path, 2)
    assert read(disk, path) == [2]


def test_a_file_put_in_anothers_place_is_another(disk: Disk, path: Path) -> None:
    beside = path.with_name("view.db.next")
    write(disk, path, 1)
    write(disk, beside, 2)
    # Whoever has the old one open can tell, as long as it is open.
    with closing(disk.connect(path, timeout=1)) as old:
        before = disk.identity(path)
        disk.replace(path, beside)
        assert disk.identity(path) not in (before, None)
        assert old.execute("SELECT x FROM t").fetchall() == [(1,)]
    assert disk.identity(beside) is None
    assert read(disk, path) == [2]


def test_a_file_replaced_while_its_log_is_not_empty_is_read_without_that(
    disk: Disk, path: Path
) -> None:
    beside = path.with_name("view.db.next")
    for place, value in ((path, 1), (beside, 2)):
        write(disk, place, value)
        with closing(disk.connect(place, timeout=1)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
    with closing(disk.connect(path, timeout=1)) as old:  # its log stays while it is open
        old.execute("INSERT INTO t VALUES (3)")
        disk.committed(path, old)
        disk.replace(path, beside)
    assert read(disk, path) == [2]


def test_a_view_comes_back_byte_for_byte(disk: Disk, path: Path) -> None:
    state = new_state()
    with closing(ViewDatabase(path, state, disk=disk)) as database:
        state.fold(commit(1, Opened("aave", 5), Raised("a")), "eu")
        database.save()
        state.fold(commit(2, Opened("aave", 7)), "eu")  # which isn't saved
    again = new_state()
    with closing(ViewDatabase(path, again, disk=disk)) as database:
        assert again.vector == [0, 1, 0]
        with closing(database.reader().conn) as reader:
            assert reader.execute("SELECT value FROM total").fetchall() == [(5,)]
        again.fold(commit(2, Opened("aave", 7)), "eu")
        assert again.canonical() == state.canonical()
