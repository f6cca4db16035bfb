"""Lines that are kept: found again, within bounds, and whatever is wrong with files and disk."""

import logging
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
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
from moonlet.telemetry.kept import LogKeeper, LogLine, LogQuery, parse_line_id, search_logs
from moonlet.telemetry.kept import day_file as day_files
from moonlet.telemetry.kept import keeper as keeper_module
from moonlet.telemetry.kept.folder import LogFolder
from moonlet.telemetry.kept.lines_waiting import LinesWaiting, Waiting
from tests.console.support import ENVIRONMENT

TODAY = datetime.now(UTC).date()


def lines(folder: Path, **asked: Any) -> list[LogLine]:
    found = search_logs(folder, LogQuery(**asked))
    assert not found.troubles
    return found.lines


def events(folder: Path, **asked: Any) -> list[str]:
    return [line.event for line in lines(folder, **asked)]


def until(condition: Callable[[], object], seconds: float = 20.0) -> None:
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, "it did not come about in time"
        time.sleep(0.01)  # sleeps: between two looks


def waiting(time: int, level: int = 20, event: str = "x", **facts: Any) -> Waiting:
    return Waiting(time, level, "t.kept", event, facts, 300)


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No lines on stderr, and what is in the way is tried again soon."""
    configure(logging.CRITICAL)
    monkeypatch.setattr(keeper_module, "RETRY", 0.05)
    monkeypatch.setattr(day_files, "BUSY_SECONDS", 0.05)
    yield


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


# days, parts, what is let go


def test_each_day_has_a_file_and_midnight_parts_a_batch(tmp_path: Path, quiet: None) -> None:
    midnight = int(datetime(2026, 12, 1, tzinfo=UTC).timestamp()) * 10**6
    queue = LinesWaiting()
    for n in range(10):
        queue.put(waiting(midnight - 5 + n, event=f"line {n}"))
    with LogKeeper(tmp_path, days=3_650, waiting=queue):
        pass
    assert {path.name for path in tmp_path.glob("*.db")} == {"2026-11-30.db", "2026-12-01.db"}
    found = lines(tmp_path)
    assert [line.event for line in found] == [f"line {n}" for n in range(10)]
    assert [line.time - midnight for line in found] == list(range(-5, 5))
    assert events(tmp_path, since=midnight - 2, until=midnight + 2) == [
        f"line {n}" for n in range(3, 7)
    ]
    last = found[3].id
    assert events(tmp_path, after=last, limit=3) == ["line 4", "line 5", "line 6"]


def test_lines_of_one_moment_and_late_ones_keep_their_times(tmp_path: Path, quiet: None) -> None:
    noon = int(datetime(2026, 12, 1, 12, tzinfo=UTC).timestamp()) * 10**6
    for times in ([noon] * 5, [noon - 1_000_000, noon + 1], [noon + 3]):
        queue = LinesWaiting()
        for at in times:
            queue.put(waiting(at))
        with LogKeeper(tmp_path, days=3_650, waiting=queue):
            pass
    found = lines(tmp_path)
    assert sorted(line.time - noon for line in found) == [-1_000_000, 0, 0, 0, 0, 0, 1, 3]
    assert len({line.id for line in found}) == 8
    assert len(lines(tmp_path, since=noon, until=noon + 1)) == 5
    assert len(lines(tmp_path, until=noon)) == 1
    assert len(lines(tmp_path, since=noon + 1)) == 2


def test_what_is_old_or_too_much_is_deleted_and_nothing_else(tmp_path: Path, quiet: None) -> None:
    for age in range(1, 12):
        (tmp_path / f"{TODAY - timedelta(days=age)}.db").write_bytes(b"")
    for name in ("notes.txt", "2026-13-77.db", f"{TODAY - timedelta(days=30)}.db.damaged-1"):
        (tmp_path / name).write_bytes(b"x")
    log = get_logger("t.kept")
    with LogKeeper(tmp_path, days=3, megabytes=2) as keeper:
        keeper.part_max = 256 * 1_024
        for n in range(2_500):
            log.info("a line of a day that has many", n=n, text="x" * 1_000)
            if n % 1_000 == 0:
                until(lambda: keeper.waits < 500)
    files = LogFolder(tmp_path).files()
    assert {file.day for file in files} <= {TODAY - timedelta(days=n) for n in range(3)}
    assert max(file.part for file in files) > 2, "a day that outgrows a part has others"
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 3 * 2**20
    assert (tmp_path / "notes.txt").exists() and (tmp_path / "2026-13-77.db").exists()
    assert not list(tmp_path.glob("*.damaged-1"))
    newest = lines(tmp_path, text="many", limit=1)[0]
    assert newest.facts["n"] == 2_499
    ids = [parse_line_id(line.id) for line in lines(tmp_path, limit=10_000)]
    assert ids == sorted(set(ids)), "no id twice, over all parts"


WRITER = """
import sys, logging
from pathlib import Path
from moonlet.telemetry import configure, get_logger
from moonlet.telemetry.kept import LogKeeper
configure(logging.CRITICAL)
log = get_logger("t.writer")
keeper = LogKeeper(Path(sys.argv[1]))
keeper.open()
for n in range(int(sys.argv[2])):
    log.info("written by", who=sys.argv[3], n=n)
while keeper.waits:
    pass
print(keeper.kept.get(20, 0), flush=True)
if len(sys.argv) > 4:
    sys.stdin.read()
keeper.close()
"""


def writer(folder: Path, count: int, who: str, *more: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), str(count), who, *more],
        env=ENVIRONMENT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_two_processes_share_a_file_and_one_that_is_killed_loses_nothing_written(
    tmp_path: Path, quiet: None
) -> None:
    processes = [writer(tmp_path, 3_000, "a", "stay"), writer(tmp_path, 3_000, "b")]
    for process in processes:
        assert process.stdout is not None
        process.stdout.readline()
    processes[0].kill()
    for process in processes:
        process.communicate(timeout=30)
    for who in "ab":
        found = [line.facts["n"] for line in lines(tmp_path, text=f'"who {who}"', limit=10_000)]
        assert sorted(found) == list(range(3_000)), who
    with LogKeeper(tmp_path):
        get_logger("t.kept").info("and on")
    assert events(tmp_path, text='"and on"') == ["and on"]


def test_many_threads_lose_no_line(tmp_path: Path, quiet: None) -> None:
    log = get_logger("t.kept")

    def write(who: int) -> None:
        for n in range(500):
            log.info("threads", who=who, n=n)

    with LogKeeper(tmp_path):
        threads = [threading.Thread(target=write, args=(who,)) for who in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    found = {(line.facts["who"], line.facts["n"]) for line in lines(tmp_path, limit=10_000)}
    assert len(found) == 4_000


def test_a_search_among_many_lines_takes_milliseconds(tmp_path: Path, quiet: None) -> None:
    """The short form of `python -m tests.benchmarks.logs`, which does it among ten million."""
    queue = LinesWaiting(lines_max=10**6, bytes_max=2**40)
    noon = int(datetime(2026, 12, 1, 12, tzinfo=UTC).timestamp()) * 10**6
    for n in range(10_000):
        facts = {"agent": f"aegis/main-{n % 100}", "correlation": f"k-{n // 8}", "n": n}
        queue.put(waiting(noon + n * 100, 20, "a position was assessed", **facts))
    with LogKeeper(tmp_path, days=3_650, waiting=queue) as keeper:
        until(lambda: keeper.waits == 0)

    def best(**asked: Any) -> float:
        times = []
        for _ in range(5):
            started = time.process_time()
            assert lines(tmp_path, **asked)
            times.append(time.process_time() - started)
        return min(times)

    for asked in (
        {"text": "assessed position"},
        {"correlation": "k-17"},
        {"agent": "aegis/main-7", "text": "assessed"},
        {"since": noon + 5 * 10**5, "until": noon + 5 * 10**5 + 1_000},
        {"module": "t"},
    ):
        assert best(**asked) < 0.05, asked
