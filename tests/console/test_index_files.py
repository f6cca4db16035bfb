"""Files of the index that are damaged, of another version, or not to be written: told, or done
without; never a traceback, and never another answer."""

import json
import sqlite3
from pathlib import Path
from random import Random

import pytest

from moonlet.replay.index import INDEX_VERSION
from tests.console.support import Ended, invoke

INDEX = Path(".moonlet/index-moon.sqlite")
BANK = ("--module", "bank.py")


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("moonlet.replay.index.database.LOCK_WAIT", 0.02)


@pytest.fixture
def indexed(host: Path) -> Path:
    """The host's folder, with commits of an agent, and an index of them."""
    if not INDEX.exists():
        for amount in range(1, 6):
            body = json.dumps({"amount": amount})
            assert invoke("ask", "account/alice", "Deposit", body, *BANK).code == 0
    INDEX.unlink(missing_ok=True)
    assert invoke("index", *BANK).code == 0
    return host / INDEX


def answers() -> list[Ended]:
    """What is asked of a long history, by the index or without."""
    return [
        invoke("state", "account/alice", *BANK, "--json"),
        invoke("why", "account/alice@3", "--json"),
        invoke("blame", "account/alice", *BANK, "--json"),
        invoke("bisect", "account/alice", "--where", "state.balance > 5", *BANK, "--json"),
    ]


def check(wanted: list[Ended], *, told: str = "") -> None:
    for before, now in zip(wanted, answers(), strict=True):
        assert (now.code, now.out) == (before.code, before.out), now
    if told:
        assert told in invoke("state", "account/alice", *BANK).err


def test_no_damage_changes_an_answer(indexed: Path) -> None:
    wanted = answers()
    assert [each.code for each in wanted] == [0] * 4 and not any(each.err for each in wanted)
    whole, dice = indexed.read_bytes(), Random(1)
    damaged = [whole[: len(whole) // 2], whole[:100], b"", b"no database" * 1_000]
    for _ in range(6):
        spoiled = bytearray(whole)
        for at in dice.sample(range(100, len(whole)), 200):
            spoiled[at] = dice.randrange(256)
        damaged.append(bytes(spoiled))
    for data in damaged:
        for beside in ("-wal", "-shm"):
            Path(f"{indexed}{beside}").unlink(missing_ok=True)
        indexed.write_bytes(data)
        check(wanted)
        for command in (("index", *BANK), ("search", "Deposit"), ("search", "--stale", "Deposit")):
            ended = invoke(*command)
            assert ended.code in (0, 2, 65, 69, 78) and "bug" not in ended.err, (command, ended)


def test_a_file_of_another_version_or_program_is_left_as_it_is_and_done_without(
    indexed: Path,
) -> None:
    wanted = answers()
    indexed.unlink()
    other = sqlite3.connect(indexed)
    other.execute("CREATE TABLE mine (x)")
    other.commit()
    other.close()
    data = indexed.read_bytes()
    check(wanted, told="is no index of Moonlet")
    assert indexed.read_bytes() == data
    indexed.unlink()
    assert invoke("index", *BANK).code == 0
    old = sqlite3.connect(indexed)
    old.execute(f"PRAGMA user_version={INDEX_VERSION - 1}")
    old.close()
    ended = invoke("state", "account/alice", *BANK, "--json")
    assert ended.out == wanted[0].out
    ended = invoke("state", "account/alice", *BANK)
    assert f"of version {INDEX_VERSION - 1}" in ended.err


def test_a_file_that_can_t_be_written_serves_as_it_is(indexed: Path) -> None:
    wanted = answers()
    for beside in ("-wal", "-shm"):
        Path(f"{indexed}{beside}").unlink(missing_ok=True)
    holder = sqlite3.connect(indexed, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    check(wanted)
    holder.execute("ROLLBACK")
    holder.close()


def test_an_index_needs_no_code(indexed: Path) -> None:
    project = Path("pyproject.toml")
    project.write_text('[tool.moonlet]\nmodules = ["nowhere"]\n')
    try:
        ended = invoke("index")
        assert ended.code == 0 and "no states are kept: there is no module" in ended.err
        assert invoke("index", "--module", "nowhere").code == 2
    finally:
        project.unlink()
