"""Lines that are kept: found again, within bounds, and whatever is wrong with files and disk."""

import logging
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moonlet.core.errors import Invalid, InvalidSettings
from moonlet.telemetry import (
    configure,
    get_logger,
    levels,
    log_context,
    restore_levels,
    set_level,
)
from moonlet.telemetry.kept import LogKeeper, LogQuery, search_logs
from moonlet.telemetry.kept import day_file as day_files
from moonlet.telemetry.kept.lines_waiting import LinesWaiting
from tests.telemetry.keeping import TODAY, events, lines, until, waiting


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kept")
    log, other = get_logger("t.kept.one"), get_logger("t.other")
    before = levels()
    set_level("critical")
    with LogKeeper(folder):
        log.debug("too low to be kept")
        log.info("the first line", agent="account/alice", n=1)
        with log_context(correlation="c-17", command="c-17.1", trace="t" * 32, host="h-1"):
            log.warning("a deposit came", agent="account/alice", revision=3, amount=250)
            other.info("a deposit went", agent="account/alice-2", reason="über alles")
        other.error("it failed", agent="account/bob", exc_info=ValueError("no such account"))
        set_level("debug", "t.other")
        other.debug("a debug line of a module that is looked at")
    restore_levels(before)
    return folder


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"text": "deposit"}, ["a deposit came", "a deposit went"]),
        ({"text": '"deposit came"'}, ["a deposit came"]),
        ({"text": "came deposit"}, ["a deposit came"]),
        ({"text": "depo*"}, ["a deposit came", "a deposit went"]),
        ({"text": "deposit -250"}, ["a deposit went"]),
        ({"text": "ÜBER"}, ["a deposit went"]),
        ({"text": "no such account"}, ["it failed"]),
        ({"text": "amount=250"}, ["a deposit came"]),
        ({"text": '"amount 250"'}, ["a deposit came"]),
        ({"agent": "account/alice"}, ["the first line", "a deposit came"]),
        ({"agent": "account"}, []),
        ({"agent": "account/alice", "revision": 3}, ["a deposit came"]),
        ({"correlation": "c-17", "level": "warning"}, ["a deposit came"]),
        ({"command": "c-17.1", "limit": 1}, ["a deposit went"]),
        ({"host": "h-1", "trace": "t" * 32, "text": "went"}, ["a deposit went"]),
        ({"level": "error"}, ["it failed"]),
        ({"module": "t.kept", "text": "deposit"}, ["a deposit came"]),
        ({"module": "t.kep"}, []),
        ({"text": "debug"}, ["a debug line of a module that is looked at"]),
        ({"text": "nowhere"}, []),
        ({"until": 1}, []),
        ({"since": 2**60}, []),
    ],
)
def test_lines_are_found_by_their_words_and_facts(
    kept: Path, asked: dict[str, Any], found: list[str]
) -> None:
    assert events(kept, **asked) == found


def test_a_line_comes_back_whole(kept: Path) -> None:
    (line,) = lines(kept, text="came")
    assert (line.agent, line.revision, line.command) == ("account/alice", 3, "c-17.1")
    assert (line.correlation, line.host, line.trace) == ("c-17", "h-1", "t" * 32)
    assert (line.level, line.module, line.facts) == ("warning", "t.kept.one", {"amount": 250})
    assert abs(line.time - time.time_ns() // 1_000) < 600 * 10**6
    (failed,) = lines(kept, text="failed")
    assert "ValueError: no such account" in failed.facts["exception"]
    before = lines(kept, before=line.id)
    after = lines(kept, after=line.id)
    assert [each.event for each in before] == ["the first line"]
    assert after[0].event == "a deposit went" and len(after) == 3
    assert events(kept, since=line.time, until=after[0].time) == ["a deposit came"]


@settings(max_examples=60)
@given(text=st.text(max_size=60))
def test_whatever_is_looked_for_is_an_answer_or_a_mistake_that_is_told(
    kept: Path, text: str
) -> None:
    try:
        found = search_logs(kept, LogQuery(text=text, agent=text[:10]))
    except Invalid as error:
        assert "text" in str(error) or "word" in str(error)
        return
    assert not found.troubles, (text, found.troubles)


SECRETS = {
    "by name": {"password": "s3cretvalue"},
    "by a name that holds one": {"api_token": "s3cretvalue"},
    "in an address": {"server": "nats://user:s3cretvalue@host:4222"},
    "in a text": {"error": "refused: password=s3cretvalue, try again"},
    "as json": {"error": '{"token": "s3cretvalue", "n": 1}'},
    "nested": {"options": {"headers": {"Authorization": "Bearer s3cretvalue"}, "n": [1]}},
    "in a list": {"given": ["--creds=s3cretvalue", "x"]},
    "a bearer token": {"header": "Authorization: Bearer s3cretvalue"},
    "an object": {"settings": ValueError("secret: s3cretvalue")},
    "behind a long text": {"text": "x" * 16_380 + " password=s3cretvalue"},
}


@pytest.mark.parametrize("facts", SECRETS.values(), ids=SECRETS.keys())
def test_no_secret_is_kept_or_written(
    tmp_path: Path, facts: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    configure(logging.WARNING, json=True)
    with LogKeeper(tmp_path):
        get_logger("t.kept").warning("a line with token=s3cretvalue in it", **facts)
    held = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"a line with" in held and b"s3cretvalue" not in held.lower()
    assert "s3cretvalue" not in capsys.readouterr().err
    assert not lines(tmp_path, text="s3cretvalue")


def test_seeds_and_tokens_are_known_by_their_looks(tmp_path: Path, quiet: None) -> None:
    seed = "SUAIBDPBAUTWCWBKIO6XHQNINK5FWJW4OHLXC3HQ2KFE4PEJUA44CNHTC4"
    jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N"
    with LogKeeper(tmp_path):
        get_logger("t.kept").info(f"with {seed}", given=jwt, other=f"key is {seed}!")
    (line,) = lines(tmp_path)
    assert line.event == "with [hidden]"
    assert line.facts == {"given": "[hidden]", "other": "key is [hidden]!"}


def test_whatever_a_fact_is_the_line_is_kept(tmp_path: Path, quiet: None) -> None:
    class Odd:
        def __repr__(self) -> str:
            raise RuntimeError("no")

    loop: list[Any] = []
    loop.append(loop)
    odd = {"surrogate": "a\ud800b", "huge": "y" * 2_000_000, "number": 10**40, "nan": float("nan"),
           "odd": Odd(), "loop": loop, "set": {1}, "bytes": b"\xff", "agent": 17, "revision": "x",
           "\ud800": 1, "nul": "a\0b"}  # fmt: skip
    log = get_logger("t.kept")
    with LogKeeper(tmp_path) as keeper:
        for name, value in odd.items():
            log.info("odd", **{name: value, "which": name.encode("ascii", "replace").decode()})
        log.info("many", **{f"f{n}": n for n in range(500)})
        log.info("z" * 100_000)
    assert len(lines(tmp_path)) >= len(odd) + 1
    assert sum(keeper.dropped.values()) + len(lines(tmp_path)) == len(odd) + 2
    (huge,) = [line for line in lines(tmp_path, text="huge") if "huge" in line.facts]
    assert len(huge.facts["huge"]) < 20_000 and huge.facts["huge"].endswith("(cut)")
    (many,) = lines(tmp_path, text="many")
    assert len(many.facts) == 65 and many.facts["cut"] == 436


# what does not fit, and what can't be written


def test_of_a_full_queue_the_lowest_level_goes_first_and_is_counted() -> None:
    queue = LinesWaiting(lines_max=10)
    for n in range(8):
        queue.put(waiting(n, 10))
    for n in range(8, 16):
        queue.put(waiting(n, 20))
    queue.put(waiting(16, 10))
    queue.put(waiting(17, 40))
    queue.put(waiting(18, 40))
    assert len(queue) == 10 and queue.dropped == {10: 9}
    queue.put(waiting(19, 40))
    assert queue.dropped == {10: 9, 20: 1}, "an error is worth more than what is said by the way"
    assert [line.time for line in queue.take(100)] == [*range(9, 16), 17, 18, 19]
    assert len(queue) == 0


def test_a_queue_is_full_by_its_size_too_and_what_comes_back_counts() -> None:
    queue = LinesWaiting(bytes_max=1_000)
    for n in range(5):
        queue.put(waiting(n, 20))
    assert len(queue) == 3 and queue.dropped == {20: 2}
    taken = queue.take(2)
    queue.put(waiting(9, 20))
    queue.put_back([*taken, waiting(0, 10)])
    assert queue.dropped == {20: 3, 10: 1}
    assert [line.time for line in queue.take(9)] == [1, 2, 9]


def test_a_locked_file_delays_lines_and_nobody_else(tmp_path: Path, quiet: None) -> None:
    log = get_logger("t.kept")
    with LogKeeper(tmp_path) as keeper:
        log.info("before")
        until(lambda: keeper.kept.get(20))
        other = sqlite3.connect(tmp_path / f"{TODAY}.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        started = time.perf_counter()
        for n in range(1_000):
            log.info("while it is locked", n=n)
            log.debug("no")
        assert time.perf_counter() - started < 1.0, "nobody waits for the file"
        until(lambda: "locked" in keeper.trouble)
        other.execute("ROLLBACK")
        other.close()
        until(lambda: keeper.kept.get(20, 0) >= 1_001)
    assert len(lines(tmp_path, text="locked", limit=10_000)) >= 1_000
    assert not keeper.dropped


def test_a_full_disk_loses_debug_lines_alone_and_counts_them(
    tmp_path: Path, quiet: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = {"pages": 40}
    connected = day_files._connected

    def small(path: Path, seconds: float, mode: str = "") -> sqlite3.Connection:
        connection = connected(path, seconds, mode)
        connection.execute(f"PRAGMA max_page_count = {limit['pages']}")
        return connection

    monkeypatch.setattr(day_files, "_connected", small)
    set_level("debug", "t.kept")
    log = get_logger("t.kept")
    with LogKeeper(tmp_path) as keeper:
        n = 0
        while "full" not in keeper.trouble:
            n += 2
            log.debug("a debug line", text="x" * 300)
            log.info("a line that counts", text="y" * 300, n=n)
            if n > 2_000:
                until(lambda: keeper.waits < 500 or "full" in keeper.trouble)
        limit["pages"] = 100_000
        until(lambda: keeper.waits == 0)
    found = lines(tmp_path, text='"that counts"', limit=10_000)
    assert len(found) == n // 2, "nothing is lost that matters"
    debug = lines(tmp_path, text='"debug line"', limit=10_000)
    assert len(debug) + keeper.dropped[10] == n // 2 and keeper.dropped.keys() == {10}
    assert keeper.dropped[10] > 0


def test_debug_lines_make_room_before_the_disk_is_full(tmp_path: Path, quiet: None) -> None:
    free = [10**6]
    set_level("debug", "t.kept")
    log = get_logger("t.kept")
    with LogKeeper(tmp_path, room=lambda _: free[0]) as keeper:
        log.debug("one")
        log.info("two")
        until(lambda: keeper.kept.get(20))
        free[0] = 10**12
        log.debug("three")
    assert events(tmp_path, text="one") == [] and keeper.dropped == {10: 1}
    assert events(tmp_path, text="two") == ["two"] and events(tmp_path, text="three") == ["three"]


def test_a_damaged_file_is_set_aside_and_told(tmp_path: Path, quiet: None) -> None:
    path = tmp_path / f"{TODAY}.db"
    path.write_bytes(b"SQLite format 3\0" + b"\xff" * 5_000)
    with LogKeeper(tmp_path) as keeper:
        get_logger("t.kept").info("after it")
        until(lambda: keeper.kept.get(40))
    assert events(tmp_path, text="after") == ["after it"]
    assert (tmp_path / f"{TODAY}.db.damaged-1").exists()
    (told,) = lines(tmp_path, level="error")
    assert told.level == "error" and told.facts["file"] == f"{TODAY}.db.damaged-1"


def test_a_file_that_is_damaged_while_it_is_written_is_set_aside(
    tmp_path: Path, quiet: None
) -> None:
    log = get_logger("t.kept")
    with LogKeeper(tmp_path):
        for n in range(2_000):
            log.info("filling it", n=n, text="x" * 50)
    path = tmp_path / f"{TODAY}.db"
    data = bytearray(path.read_bytes())
    data[4_096 * 2 :] = b"\x99" * (len(data) - 4_096 * 2)
    path.write_bytes(data)
    found = search_logs(tmp_path, LogQuery(text="filling"))
    assert (found.lines == [] and "damaged" in found.troubles[0]) or "can't be read" in str(found)
    with LogKeeper(tmp_path) as keeper:
        log.info("and on")
    assert events(tmp_path, text='"and on"') == ["and on"] and not keeper.dropped


@pytest.mark.parametrize("kind", ["another's", "a newer version's"])
def test_a_foreign_file_is_left_alone(tmp_path: Path, quiet: None, kind: str) -> None:
    path = tmp_path / f"{TODAY}.db"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE theirs (x)")
        if kind != "another's":
            other.execute(f"PRAGMA application_id = {day_files.APPLICATION_ID}")
            other.execute("PRAGMA user_version = 99")
    other.close()
    held = path.read_bytes()
    with LogKeeper(tmp_path):
        get_logger("t.kept").info("beside it")
    assert path.read_bytes() == held
    found = search_logs(tmp_path, LogQuery(text="beside"))
    assert [line.event for line in found.lines] == ["beside it"]
    assert found.troubles and str(path) in found.troubles[0]


def test_a_folder_that_can_not_be_made_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InvalidSettings, match="--no-logs"):
        LogKeeper(tmp_path / "file" / "logs").open()
    wrongs: list[dict[str, Any]] = [{"days": 0}, {"megabytes": -1}, {"level": "loud"}]
    for wrong in wrongs:
        with pytest.raises(InvalidSettings):
            LogKeeper(tmp_path, **wrong)
