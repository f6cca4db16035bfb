"""The benchmarks: `python -m tests.benchmarks [--only ROW ...] [--rounds N] [--quick]`.

Prints each row with its baseline, their ratio and its bar, and writes `bench.json`, one JSON object
a line: name, value, unit, baseline, ratio. Ends with 1 if a row has no figure or no baseline; a
missed bar is shown and does not fail, since other machines are other machines.
"""

import argparse
import asyncio
import gc
import json
import os
import platform
import sys
import traceback
from pathlib import Path
from typing import TextIO

from tests.benchmarks.rows import Result, Scale, Work, figure, measure
from tests.benchmarks.table import WORKS

OUTPUT = Path("bench.json")
QUICK = 0.1


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument(
        "--only", nargs="+", metavar="ROW", default=[], help="rows whose name holds one of these"
    )
    parser.add_argument("--rounds", type=int, help="rounds of each row, at least 5 for the table")
    parser.add_argument("--quick", action="store_true", help="a tenth of the work, 3 rounds")
    parser.add_argument("--list", action="store_true", help="only name the rows")
    return parser.parse_args()


def machine() -> str:
    """Where the figures come from."""
    loop = type(asyncio.get_running_loop()).__module__.partition(".")[0]
    return (
        f"{platform.system()} {platform.release()}, {platform.machine()}, {os.cpu_count()} CPUs,"
        f" Python {platform.python_version()}, {loop}"
    )


def show(result: Result) -> None:
    row = result.row
    mark = "ok  " if result.met else "MISS"
    print(
        f"{mark} {row.name:<40} {figure(result.value):>10} {row.unit:<12}"
        f" baseline {figure(result.baseline):>10}  ratio {result.ratio:6.2f}"
        f"  bar {row.bar()}  ({row.baseline})",
        flush=True,
    )


def record(result: Result) -> str:
    return json.dumps(
        {
            "name": result.row.name,
            "value": result.value,
            "unit": result.row.unit,
            "baseline": result.baseline,
            "ratio": result.ratio,
        }
    )


async def run(works: list[Work], rounds: int | None, scale: Scale, output: TextIO) -> int:
    """Measure and print all; how many works had no figure."""
    print(machine(), flush=True)
    failed = 0
    for work in works:
        gc.collect()
        try:
            results = await measure(work, scale, rounds or work.rounds)
        except Exception:
            failed += 1
            print(f"FAIL {', '.join(row.name for row in work.rows)}")
            traceback.print_exc()
            continue
        for result in results:
            show(result)
            output.write(record(result) + "\n")
        output.flush()
    return failed


def main() -> int:
    given = arguments()
    works = [
        work
        for work in WORKS
        if not given.only or any(part in row.name for part in given.only for row in work.rows)
    ]
    if given.list or not works:
        print("\n".join(row.name for work in WORKS for row in work.rows))
        return 0 if given.list else 2
    rounds = given.rounds or (3 if given.quick else None)
    with OUTPUT.open("w") as output:
        job = run(works, rounds, Scale(QUICK if given.quick else 1.0), output)
        try:
            import uvloop
        except ImportError:
            failed = asyncio.run(job)
        else:
            failed = uvloop.run(job)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
