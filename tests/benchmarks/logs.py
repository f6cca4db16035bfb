"""`python -m tests.benchmarks.logs [LINES]`: what a kept line costs, and a search among many.

Two millions by default; 10000000 takes some minutes, and three gigabytes of the temporary folder.
"""

import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from moonlet.telemetry import configure, get_logger
from moonlet.telemetry.kept import LogKeeper, LogQuery, search_logs
from moonlet.telemetry.kept.day_file import DayFile
from moonlet.telemetry.kept.lines_waiting import LinesWaiting, WaitingLine
from moonlet.telemetry.kept.row import row_of

BATCH = 2_000
EVENTS = ("a position was assessed", "a quote came", "a transfer was booked", "recovery waits")


def lines(first: int, start: int) -> list[WaitingLine]:
    """Lines of which each has an id of its own."""
    return [
        WaitingLine(
            start + n * 8_000,
            30 if n % 997 == 0 else 20,
            f"moonlet.agents.m{n % 20}",
            EVENTS[n % 4],
            {
                "agent": f"aegis/main-{n % 1_000}",
                "command": f"c-{n:08x}",
                "correlation": f"k-{n // 8:08x}",
                "venue": f"venue{n * 7_919 % 5_000}",
                "n": n,
            },
            300,
        )
        for n in range(first, first + BATCH)
    ]


def best(work: Any, times: int = 5) -> float:
    """Seconds of processor time."""
    taken = []
    for _ in range(times):
        started = time.process_time()
        work()
        taken.append(time.process_time() - started)
    return min(taken)


def main() -> None:
    """Print a table."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000_000
    configure(50)
    log = get_logger("t.quiet")
    facts = {"agent": "a/1", "n": 1}
    suppressed = best(lambda: [log.info("a line", agent="a/1", n=1) for _ in range(100_000)])
    nothing = best(lambda: [None for _ in range(100_000)])
    print(f"a suppressed line       {(suppressed - nothing) * 1e4:8.0f} ns")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        keeper = LogKeeper(folder, waiting=LinesWaiting(10**7, 2**40))

        def hand_over() -> None:
            for _ in range(20_000):
                keeper.keep(20, "m", "a line", facts)

        offered = best(hand_over)
        print(f"handing a line over     {offered / 20_000 * 1e9:8.0f} ns")
        start = int(datetime(2026, 11, 30, tzinfo=UTC).timestamp()) * 10**6
        file, last, taken, fastest = DayFile(folder / "2026-11-30.db"), 0, 0.0, 9.0
        for first in range(0, count, BATCH):
            some = lines(first, start)
            started = time.process_time()
            made = [row_of(line, start) for line in some]
            last = file.add([row for row, _ in made], [words for _, words in made], last)
            spent = time.process_time() - started
            taken, fastest = taken + spent, min(fastest, spent)
        file.close()
        size = (folder / "2026-11-30.db").stat().st_size / count
        print(f"written a CPU second    {count / taken:8,.0f} lines")
        print(f"  as in the best batch  {BATCH / fastest:8,.0f} lines")
        print(f"bytes a line            {size:8.0f}")
        for asked in (
            LogQuery(text="quote came"),
            LogQuery(text="assessed", agent="aegis/main-4"),
            LogQuery(correlation="k-00000011"),
            LogQuery(level="warning"),
            LogQuery(module="moonlet.agents.m7"),
            LogQuery(text="nowhere"),
            LogQuery(since=start + count * 4_000, until=start + count * 4_000 + 10**6),
        ):
            spent = best(lambda asked=asked: search_logs(folder, asked))
            found = len(search_logs(folder, asked).lines)
            print(f"search {spent * 1e3:8.1f} ms  {found:4} lines  {asked!r:.70}")


if __name__ == "__main__":
    main()
