"""Days, parts of them, what is let go; several who write, and a search among many lines."""

import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from moonlet.telemetry import (
    get_logger,
)
from moonlet.telemetry.kept import LogKeeper, parse_line_id
from moonlet.telemetry.kept.folder import LogFolder
from moonlet.telemetry.kept.lines_waiting import LinesWaiting
from tests.console.support import ENVIRONMENT
from tests.telemetry.keeping import TODAY, events, lines, until, waiting


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
