"""The view's file: nothing half-written, nothing foreign, and plain tables for SQL."""

import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from moonlet.projections import (
    At,
    DatabaseConflict,
    DatabaseCorrupt,
    DatabaseLocked,
    Dot,
    Fields,
    InvalidDatabase,
    InvalidView,
    LexCounter,
    LWWRegister,
    MVRegister,
    ORMap,
    View,
    ViewDatabase,
    ViewState,
    apply_delta,
    make_delta,
)
from tests.projections.helpers import (
    Acknowledged,
    Opened,
    Raised,
    Rated,
    commit,
    exposure_view,
    journals,
    new_state,
)
from tests.projections.world import NAMES, World
from tests.projections.world import new_state as new_world_state
from tests.tools.tree import ROOT


def opened(path: Path, **options: Any) -> tuple[ViewState, ViewDatabase]:
    state = new_state()
    return state, ViewDatabase(path, state, **options)


def filled(path: Path) -> ViewState:
    """A saved file, and the state in it."""
    state, database = opened(path)
    state.fold(commit(1, Opened("aave", 5), Raised("a"), Rated("high")), "eu")
    state.fold(commit(1, Rated("low")), "us")
    database.save()
    database.close()
    return state


# -- what is saved comes back ----------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(25))
def test_a_saved_state_comes_back_byte_for_byte(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    world = World()
    state = new_world_state()
    database = ViewDatabase(tmp_path / "view.db", state)
    for _ in range(6):
        world.run([chance.getrandbits(24) for _ in range(15)])
        for journal in range(len(NAMES)):
            world.feed(state, journal, chance.randrange(6))
        if chance.random() < 0.4:
            apply_delta(state, make_delta(world.replicas[0], state.frontier))
        database.save()
    database.close()
    again = new_world_state()
    ViewDatabase(tmp_path / "view.db", again).close()
    assert again.canonical() == state.canonical()
    assert again.digest == state.digest
    assert again.vector == state.vector
    assert again.marks == state.marks
    for journal in range(len(NAMES)):
        for each in (state, again):
            world.feed(each, journal, 100)
    assert again.digest == state.digest
    assert again.value == world.expected(again.vector)


def test_what_was_not_saved_is_folded_again(tmp_path: Path) -> None:
    path = tmp_path / "view.db"
    state, database = opened(path)
    state.fold(commit(1, Raised("a")), "eu")
    assert database.save() == 1
    assert database.save() == 0
    state.fold(commit(2, Raised("b")), "eu")
    database.close()
    again, database = opened(path)
    assert again.frontier.sequences == {"eu": 1}
    assert again.marks[1] == (1, "digest 1")
    assert again.fold(commit(2, Raised("b")), "eu")
    assert again.digest == state.digest
    database.close()


def test_after_a_restart_deltas_are_full_until_the_index_reaches_back(tmp_path: Path) -> None:
    path = tmp_path / "view.db"
    old = new_state()
    state = filled(path)
    again, database = opened(path)
    assert apply_delta(old, make_delta(again, old.frontier))
    assert old.digest == again.digest == state.digest
    database.close()


# -- crashes ---------------------------------------------------------------------------------------


def test_a_crash_at_any_statement_leaves_the_last_save(tmp_path: Path) -> None:
    """At each statement the files are copied: what a killed process would have left."""
    path = tmp_path / "live" / "view.db"
    path.parent.mkdir()
    state = new_world_state()
    database = ViewDatabase(path, state)
    world = World().run(list(range(40)))
    copies: list[tuple[Path, set[str]]] = []
    allowed = {state.digest}

    def copy(statement: str) -> None:
        target = tmp_path / f"crash-{len(copies)}"
        shutil.copytree(path.parent, target)
        copies.append((target / "view.db", set(allowed)))

    database._conn.set_trace_callback(copy)
    for journal in range(len(NAMES)):
        world.feed(state, journal, 100)
        allowed.add(state.digest)
        database.save()
        allowed = {state.digest}
    database._conn.set_trace_callback(None)
    database.close()
    assert len(copies) >= 15
    for file, digests in copies:
        again = new_world_state()
        ViewDatabase(file, again).close()
        assert again.digest in digests, f"{file} holds half a save"
        assert again.value == world.expected(again.vector)
        for journal in range(len(NAMES)):
            world.feed(again, journal, 100)
        assert again.digest == state.digest


def test_a_crash_while_the_file_is_made_leaves_one_that_can_be_opened(tmp_path: Path) -> None:
    program = (
        "import os, sqlite3, sys\n"
        "from tests.projections.helpers import new_state\n"
        "from moonlet.projections import ViewDatabase\n"
        "left = int(sys.argv[2])\n"
        "def step(statement):\n"
        "    global left\n"
        "    left -= 1\n"
        "    if left < 0: os._exit(9)\n"
        "real = sqlite3.connect\n"
        "def connect(*args, **options):\n"
        "    connection = real(*args, **options)\n"
        "    connection.set_trace_callback(step)\n"
        "    return connection\n"
        "sqlite3.connect = connect\n"
        "ViewDatabase(sys.argv[1], new_state())\n"
    )
    codes = set()
    for steps in (2, 5, 9, 14, 10_000):
        path = tmp_path / f"{steps}.db"
        result = subprocess.run(
            [sys.executable, "-c", program, str(path), str(steps)], cwd=ROOT, check=False
        )
        codes.add(result.returncode)
        assert filled(path).value["total"] == 5
    assert codes == {9, 0}


def test_a_failed_save_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "view.db"
    state, database = opened(path)
    state.fold(commit(1, Raised("a"), Opened("aave", 5)), "eu")
    database._conn.execute(
        "CREATE TRIGGER full BEFORE INSERT ON total BEGIN SELECT RAISE(ABORT, 'x'); END"
    )
    with pytest.raises(DatabaseCorrupt):
        database.save()
    reader = database.reader()
    assert reader["alerts"].count == 0
    reader.close()
    database._conn.execute("DROP TRIGGER full")
    assert database.save() == 4
    database.close()
    again, database = opened(path)
    assert again.digest == state.digest
    database.close()


# -- files that are not ours -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("other", "says"),
    [
        (lambda: ViewState(exposure_view(name="alerts"), journals()), "it holds exposure@1"),
        (lambda: ViewState(exposure_view(version=2), journals()), "it holds exposure@1"),
        (lambda: ViewState(exposure_view(), journals("asia", "eu")), "other journals"),
        (lambda: ViewState(exposure_view(), journals(incarnation="2027")), "other journals"),
        (
            lambda: ViewState(View("exposure", version=1, total=LexCounter), journals()),
            "raise the version",
        ),
        (
            lambda: ViewState(exposure_view(), journals(), skipped=[Dot("eu:00000000", 1)]),
            "commits were skipped",
        ),
    ],
    ids=["view", "version", "journals", "incarnation", "fields", "skipped"],
)
def test_a_file_of_another_view_version_or_journal_is_refused(
    tmp_path: Path, other: Any, says: str
) -> None:
    path = tmp_path / "view.db"
    filled(path)
    before = path.read_bytes()
    with pytest.raises(InvalidDatabase, match=says):
        ViewDatabase(path, other())
    assert path.read_bytes() == before


def test_another_programs_database_and_a_newer_format_are_refused(tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.db"
    with closing(sqlite3.connect(foreign, isolation_level=None)) as connection:
        connection.execute("CREATE TABLE accounts (id)")
    connection.close()
    with pytest.raises(InvalidDatabase, match="another program's"):
        opened(foreign)
    newer = tmp_path / "newer.db"
    filled(newer)
    with closing(sqlite3.connect(newer, isolation_level=None)) as connection:
        connection.execute("UPDATE _moonlet_view SET format = 99")
    connection.close()
    with pytest.raises(InvalidDatabase, match="format 99"):
        opened(newer)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "view.db"
    path.write_bytes(b"what is this? " * 500)
    with pytest.raises(DatabaseCorrupt, match="delete it"):
        opened(path)


def test_a_half_written_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "view.db"
    state, database = opened(path)
    for number in range(1, 400):
        state.fold(commit(number, Raised(f"alert {number}")), "eu")
    database.save()
    database.close()
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DatabaseCorrupt):
        opened(path)
    path.write_bytes(whole[:8_192] + bytes(len(whole) - 8_192))
    with pytest.raises(DatabaseCorrupt):
        opened(path)


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("alerts", "state", 2**62),
        ("alerts", "state", -1),
        ("alerts", "state", b"\xc1"),
        ("risk", "state", b"\x92\x90"),
        ("risk", "state", None),
        ("total", "state", "text"),
        ("total", "value", "five"),
        ("by_protocol", "state", b"\x90"),
        ("notes", "state", b""),
    ],
)
def test_a_row_that_cannot_be_read_is_named(
    tmp_path: Path, table: str, column: str, value: object
) -> None:
    path = tmp_path / "view.db"
    filled(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"UPDATE [{table}] SET [{column}] = ?", (value,))
    connection.close()
    with pytest.raises(DatabaseCorrupt, match=f"of {table} can't be read"):
        opened(path)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidDatabase, match="can't be opened"):
        opened(tmp_path / "nowhere" / "view.db")


def test_a_read_only_file_is_refused(tmp_path: Path) -> None:
    """As an ordinary user: root may write to anything."""
    path = tmp_path / "view.db"
    filled(path)
    path.chmod(0o444)
    for folder in (tmp_path, *tmp_path.parents[:3]):
        folder.chmod(0o555 if folder == tmp_path else 0o755)
    is_root = os.geteuid() == 0
    try:
        if is_root:
            os.seteuid(65_534)
        with pytest.raises(InvalidDatabase, match="may be written to"):
            state, database = opened(path)
            state.fold(commit(2, Raised("b")), "eu")
            database.save()
    finally:
        if is_root:
            os.seteuid(0)
        tmp_path.chmod(0o755)


def test_a_locked_file_is_told_and_can_be_saved_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("moonlet.projections.files.database.BUSY_SECONDS", 0.05)
    path = tmp_path / "view.db"
    state, database = opened(path)
    state.fold(commit(1, Raised("a")), "eu")
    other = sqlite3.connect(path)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(DatabaseLocked):
        database.save()
    other.rollback()
    other.close()
    assert database.save() == 1
    database.close()


def test_two_replicas_on_one_file_are_told(tmp_path: Path) -> None:
    path = tmp_path / "view.db"
    one, first = opened(path)
    two, second = opened(path)
    one.fold(commit(1, Raised("a")), "eu")
    two.fold(commit(1, Raised("a")), "eu")
    first.save()
    with pytest.raises(DatabaseConflict, match="a file of its own"):
        second.save()
    first.close()
    second.close()


def test_a_file_deleted_or_replaced_while_open_is_told(tmp_path: Path) -> None:
    path = tmp_path / "view.db"
    state, database = opened(path)
    state.fold(commit(1, Raised("a")), "eu")
    path.rename(tmp_path / "moved.db")
    with pytest.raises(DatabaseCorrupt, match="deleted or replaced"):
        database.save()
    path.write_bytes(b"")
    with pytest.raises(DatabaseCorrupt, match="deleted or replaced"):
        database.save()
    database.close()


# -- for SQL ---------------------------------------------------------------------------------------


class Wrote(msgspec.Struct, frozen=True):
    key: str
    value: Any


def test_values_are_plain_in_sql(tmp_path: Path) -> None:
    view = View("plain", version=1, amounts=ORMap[LexCounter], last=ORMap[LWWRegister],
                values=ORMap[MVRegister])  # fmt: skip

    @view.on_event
    def wrote(fields: Fields, event: Wrote, at: At) -> None:
        fields.values[event.key].set(event.value)
        fields.last[event.key].set(event.value)

    @view.on_event
    def opened(fields: Fields, event: Opened, at: At) -> None:
        fields.amounts[event.protocol].add(event.usd)
        fields.amounts["exact"].add(Decimal("0.10"))

    values = {"text": "hi", "int": 5, "float": 0.5, "true": True, "none": None, "list": [1, "b"],
              "dict": {"b": 1, "a": 2}, "zero": "a\x00b", "big": 2**62,
              "largest": 2**63 - 1, "larger": 2**63, "hash": 2**64 - 1}  # fmt: skip
    state = ViewState(view, journals())
    database = ViewDatabase(tmp_path / "view.db", state)
    state.fold(commit(1, *(Wrote(k, v) for k, v in values.items()), Opened("aave", 5)), "eu")
    state.fold(commit(1, Wrote("text", "ho")), "us")
    database.save()
    reader = database.reader()
    shown = {row["key"]: row["value"] for row in reader["values"].rows}
    assert shown == {
        "text": '["hi","ho"]', "int": 5, "float": 0.5, "true": "true", "none": "null",
        "list": '[1,"b"]', "dict": '{"a":2,"b":1}', "zero": "a\x00b", "big": 2**62,
        "largest": 2**63 - 1, "larger": "9223372036854775808", "hash": "18446744073709551615",
    }  # fmt: skip
    assert {row["key"]: row["value"] for row in reader["last"].rows} == {**shown, "text": "ho"}
    assert list(reader.query("SELECT key, value FROM amounts ORDER BY key")) == [
        {"key": "aave", "value": 5},
        {"key": "exact", "value": "0.10"},
    ]
    assert json.loads(shown["text"]) == state.value["values"]["text"]
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader.execute("DELETE FROM [values]")
    reader.close()
    database.close()
    again = ViewState(view, journals())
    ViewDatabase(tmp_path / "view.db", again).close()
    assert again.value == state.value
    assert again.canonical() == state.canonical()


def test_a_removed_key_is_null_or_gone_in_sql(tmp_path: Path) -> None:
    path = tmp_path / "view.db"
    state, database = opened(path)
    state.fold(commit(1, Raised("a"), Raised("b")), "eu")
    database.save()
    token = state.read("alerts", "a")[1]
    state.fold(commit(2, Acknowledged("a", token)), "eu")
    database.save()
    reader = database.reader()
    assert [row["key"] for row in reader["alerts"].rows] == ["b"]
    reader.close()
    database.close()


def test_full_text_is_searched_where_asked(tmp_path: Path) -> None:
    path = tmp_path / "view.db"
    state, database = opened(path, search=["notes"])
    state.fold(commit(1, Opened("aave", 5), agent="aegis/main"), "eu")
    state.fold(commit(2, Opened("sky", 5), agent="bridge/main"), "eu")
    database.save()
    reader = database.reader()

    def found(words: str) -> list[str]:
        return [row["key"] for row in reader.table("notes").search(words)]

    assert found("bridge") == ["sky"]
    state.fold(commit(3, Opened("sky", 5), agent="fuel/main"), "eu")
    database.save()
    assert found("bridge") == []
    assert found("fuel") == ["sky"]
    reader.close()
    database.close()
    with pytest.raises(InvalidView, match="no field nothing"):
        opened(tmp_path / "other.db", search=["nothing"])
