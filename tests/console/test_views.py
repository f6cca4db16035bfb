"""`moonlet views` and `moonlet view`: against a host of its own process, on real files."""

import asyncio
import json
import shutil
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from moonlet.agents import connect
from moonlet.console.common import find_code
from moonlet.projections import Replica
from moonlet.streams import open_embedded
from tests.console.conftest import work_in
from tests.console.sums import MODULES, deposit, record, running_bank, view
from tests.console.support import finish, first_line, invoke, start, wait_until


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a running host, whose accounts got 5, 13 and 2."""
    folder = tmp_path_factory.mktemp("views")
    with running_bank(folder, ("alice", 5), ("bob", 13), ("alice", 2)):
        yield folder


@pytest.fixture
def folder(bank: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder; the commands' own files begin anew for each test."""
    shutil.rmtree(bank / ".moonlet" / "views", ignore_errors=True)
    return work_in(bank, monkeypatch)


def test_get_prints_all_a_field_or_a_key_as_of_now(folder: Path) -> None:
    value = {"by_account": {"account/alice": 7, "account/bob": 13}, "total": 20}
    assert json.loads(view("totals", "get").out) == value
    assert record("totals", "get", "by_account", "account/bob")["value"] == 13
    assert record("totals", "get", "by_account")["value"] == value["by_account"]
    found = record("totals", "get", "total")
    assert (found["value"], found["version"], found["field"]) == (20, 1, "total")
    assert sum(found["frontier"].values()) >= 3


def test_sql_reads_the_file_and_writes_nothing(folder: Path) -> None:
    rows = view("totals", "sql", "SELECT key, value FROM by_account ORDER BY key")
    assert rows.out.split() == ["key", "value", "account/alice", "7", "account/bob", "13"]
    refused = view("totals", "sql", "DELETE FROM by_account")
    assert refused.code == 2 and "not authorized" in refused.err
    for query in ("SELECT 1; SELECT 2", "SELECT * FROM nowhere", "", "PRAGMA journal_mode=OFF"):
        assert view("totals", "sql", query).code == 2, query
    for query in ("ATTACH 'written.db' AS w", "VACUUM INTO 'written.db'", "BEGIN IMMEDIATE"):
        assert view("totals", "sql", query).code == 2, query
    assert not (folder / "written.db").exists()
    assert view("totals", "sql", "SELECT 1 WHERE 0").err == "no rows\n"


ENDLESS = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT"


def test_a_query_without_end_ends_with_ctrl_c_and_one_of_too_many_rows_by_itself(
    folder: Path,
) -> None:
    many = view("totals", "sql", f"{ENDLESS} x FROM c")
    assert many.code == 2 and "100,000: add LIMIT" in many.err
    asking = start("view", "totals", "sql", f"{ENDLESS} count(*) FROM c", *MODULES, folder=folder)
    try:
        # While it asks it does nothing else: it can't answer.
        wait_until(lambda: "silent" in invoke("views").out, timeout=30)
        asking.send_signal(signal.SIGINT)
        assert asking.wait(timeout=30) == 130
    finally:
        finish(asking)


def test_large_and_hostile_values_fit_a_line_and_obey_nobody(folder: Path) -> None:
    query = "SELECT 'a' || char(10, 27) || '[2J' AS odd, printf('%.*c', 100000, 'x') AS large"
    lines = view("totals", "sql", query).out.splitlines()
    assert lines[1].startswith("a\\n\\x1b[2J  xxx") and lines[1].endswith("x…")
    assert len(lines) == 2 and len(lines[1]) < 300
    assert len(record("totals", "sql", query)["large"]) == 100_000


def test_a_file_is_read_without_a_server_and_only_as_its_own_view(
    folder: Path, tmp_path: Path
) -> None:
    view("totals", "get")
    file = tmp_path / "copy.db"
    with closing(
        sqlite3.connect(folder / ".moonlet/views/totals-v1.db", isolation_level=None)
    ) as source:
        with closing(sqlite3.connect(file, isolation_level=None)) as target:
            source.backup(target)
    asked = "SELECT value FROM total"
    nowhere = ("--url", "nats://127.0.0.1:9", "--file")
    assert record("totals", "sql", asked, *nowhere, str(file)) == {"value": 20}
    other = view("fragile", "sql", asked, *nowhere, str(file))
    assert other.code == 2 and "holds view totals, not fragile" in other.err
    absent = view("totals", "sql", asked, *nowhere, str(tmp_path / "none.db"))
    assert absent.code == 2 and "there is no file" in absent.err
    (tmp_path / "text.db").write_text("no database at all" * 100)
    assert view("totals", "sql", asked, *nowhere, str(tmp_path / "text.db")).code == 65


def test_a_poison_event_stops_that_view_only_and_can_be_skipped(folder: Path) -> None:
    stopped = view("fragile", "get", "total")
    assert stopped.code == 65
    assert stopped.err.startswith("PoisonedEvent: view fragile@1 stopped at")
    assert "unlucky" in stopped.err and stopped.err.count("\n") == 1, "it is told once"
    assert record("totals", "get", "total")["value"] == 20
    skipped = record("fragile", "skip")
    assert skipped["type"] == "Deposited"
    assert record("fragile", "get", "total")["value"] == 7
    again = view("fragile", "skip")
    assert again.code == 2 and "nothing to skip" in again.err


def test_a_running_replica_is_listed_heard_and_compared(folder: Path) -> None:
    watching = start("view", "totals", "watch", "total", *MODULES, folder=folder)
    try:
        assert first_line(watching) == "20\n"
        [heard] = invoke("view", "totals", "lag", "--json").records
        assert (heard["behind"], heard["not_on_disk"], heard["standing"]) == (0, 0, "running")
        assert invoke("view", "totals", "lag").out.splitlines()[1].split()[1:] == [
            "running",
            "0",
            "0",
        ]

        def standing() -> list[tuple[str, int]]:
            entries = invoke("views", "--json").records
            return [(e["view"], e["behind"]) for e in entries if e["standing"] == "running"]

        # What is saved is noted by and by.
        wait_until(lambda: standing() == [("totals", 0)], timeout=10)
    finally:
        watching.terminate()
        finish(watching)
    silent = invoke("view", "totals", "lag")
    assert (silent.code, silent.out) == (0, "") and "no replica of totals runs" in silent.err
    compared = view("totals", "compare")
    assert compared.code == 0 and "folded from the journals" in compared.out


def test_two_commands_look_at_one_view_at_once(folder: Path) -> None:
    watching = start("view", "totals", "watch", "total", *MODULES, folder=folder)
    try:
        assert watching.stdout is not None
        before = int(first_line(watching))
        for n in range(1, 4):
            deposit(folder, "dora", 1)
            assert record("totals", "get", "total")["value"] == before + n
            assert int(watching.stdout.readline()) == before + n
    finally:
        watching.terminate()
        finish(watching)


def test_watch_prints_what_changes(folder: Path) -> None:
    watching = start(
        "view", "totals", "watch", "by_account", "account/carol", *MODULES, folder=folder
    )
    try:
        assert watching.stdout is not None
        before = first_line(watching)
        deposit(folder, "carol", 4)
        assert (before, watching.stdout.readline()) == ("0\n", "4\n")
        watching.terminate()
        assert watching.wait(timeout=30) == 130
    finally:
        finish(watching)


def test_a_rebuild_puts_a_new_file_in_the_old_ones_place(folder: Path) -> None:
    view("totals", "get")
    file = folder / ".moonlet/views/totals-v1.db"
    before = file.stat().st_ino
    built = record("totals", "rebuild")
    assert built["file"].endswith("totals-v1.db") and built["version"] == 1
    assert file.stat().st_ino != before
    assert record("totals", "get", "total")["value"] >= 20


def test_a_file_that_is_no_views_is_neither_replaced_nor_made(folder: Path) -> None:
    code = (folder / "bank.py").read_text()
    replaced = view("totals", "rebuild", "--file", "bank.py")
    assert replaced.code == 2 and "replaces only files of its view" in replaced.err
    assert (folder / "bank.py").read_text() == code
    below = view("totals", "rebuild", "--file", "bank.py/below.db")
    assert below.code == 2 and "can't be opened" in below.err
    absent = view("fragile", "skip", "--file", "none.db")
    assert absent.code == 2 and "there is no file none.db" in absent.err
    assert not (folder / "none.db").exists()


def test_a_damaged_file_of_the_command_is_folded_anew(folder: Path) -> None:
    view("totals", "get")
    file = folder / ".moonlet/views/totals-v1.db"
    file.write_bytes(b"nothing" * 1000)
    again = view("totals", "get", "total")
    assert again.code == 0 and "is folded anew" in again.err


def test_a_replica_that_is_gone_is_dismissed(folder: Path) -> None:
    view("totals", "get")
    entry = invoke("views", "--json").records[-1]
    name = f"{entry['view']}/{entry['replica']}"
    assert invoke("views", "--dismiss", name).out == f"{name} is forgotten\n"
    assert entry["replica"] not in invoke("views").out
    assert invoke("views", "--dismiss", name).code == 2


def test_the_doctor_knows_a_views_snapshot(folder: Path) -> None:
    async def store() -> None:
        code = find_code(["bank.py", "sums.py"])
        server = await open_embedded(folder)
        async with server, connect(server.url, agents=code.types.values()) as moon:
            async with Replica(moon, code.views["totals"], folder / "own.db") as replica:
                await replica.snapshot()

    asyncio.run(store())
    examined = {found["check"]: found for found in invoke("doctor", "--json").records}
    assert examined["foreign subjects"]["level"] == "OK"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nobody", "get"), "the code of view nobody is not known here (known: fragile, totals)"),
        (("totals", "get", "nothing"), "has no field 'nothing'"),
        (("totals", "get", "total", "key"), "total"),
    ],
)
def test_what_is_not_there_is_said(folder: Path, arguments: tuple[str, ...], said: str) -> None:
    ended = view(*arguments)
    assert ended.code == 2, ended
    assert said in ended.err and "Traceback" not in ended.err


def test_a_server_without_journals_is_told(tmp_path: Path, folder: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    none = invoke("views", "--data", str(empty))
    assert (none.code, none.out) == (0, "") and "no replica was here yet" in none.err
    nobody = invoke("view", "totals", "pause", "--data", str(empty))
    assert nobody.code == 69 and "no replica of view totals runs" in nobody.err
    ended = view("totals", "get", "--data", str(empty))
    assert ended.code == 65
    assert "start a host" in ended.err
