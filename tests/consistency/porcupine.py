"""Histories of worlds and of real runs, judged by Porcupine: `make porcupine`.

`python -m tests.consistency.porcupine --worlds N --real N`. Porcupine (Go) is built where `go` is
found; it comes from the Go module proxy, and nothing of it is kept here. A history that is wrong on
purpose must be found out first: a judge that says yes to all is none.
"""

import argparse
import asyncio
import copy
import shutil
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path

from moonlet.simulations import Scenario
from moonlet.streams.server.embedded import configuration
from moonlet.streams.server.server_process import ServerProcess, find_server
from tests.consistency import worlds
from tests.consistency.history import History
from tests.consistency.real import judge, run_anything

SOURCE = Path(__file__).parent / "porcupine_go"
NO_GO = (
    "make: `go` was not found, so Porcupine can't be built: install Go 1.21 or newer"
    " (https://go.dev/dl) and see that it is on PATH. The same histories are judged by our own"
    " checker in `make test`."
)


def build(folder: Path) -> Path | None:
    """The program; None where there is no Go."""
    go = shutil.which("go") or shutil.which("/usr/local/go/bin/go")
    if go is None:
        return None
    program = folder / "porcupine_go"
    subprocess.run([go, "build", "-o", str(program), "."], cwd=SOURCE, check=True)
    return program


def record_worlds(scenario: Scenario, seeds: range, folder: Path) -> list[Path]:
    """A file for each world; raises what a world failed with."""
    files = []
    for seed in seeds:
        run = scenario.run(seed)
        if run.error is not None:
            print(f"{scenario.name} {seed} failed")
            raise run.error
        path = folder / f"{scenario.name.rpartition(':')[2]}-{seed}.jsonl"
        worlds.last[0].save(path)
        files.append(path)
    return files


def record_real(seeds: range, folder: Path, steps: int) -> list[Path]:
    """A file for each run on a server."""
    files = []
    for seed in seeds:
        home = folder / f"server-{seed}"
        server = ServerProcess(find_server(), home, configuration(home / "data", fsync=False))
        server.start()
        try:
            name = f"t{uuid.uuid4().hex[:12]}"
            exchanged = seed % 4 > 0  # in one of four, tokens are each client's own
            run = asyncio.run(
                run_anything(server.url, name, home, seed=seed, steps=steps, exchanged=exchanged)
            )
        finally:
            server.stop()
        judge(run)
        path = folder / f"real-{seed}.jsonl"
        run.history.save(path)
        files.append(path)
    return files


def spoil(history: History) -> History:
    """The same, but the first number read at the end was read by nobody before: a lost write."""
    wrong = copy.deepcopy(history)
    read = max(
        (op for op in wrong.operations if op.kind == "append" and op.numbers and op.end > 0),
        key=lambda op: len(op.numbers or ()),
    )
    read.numbers = [*(read.numbers or [])[1:]]
    return wrong


def main() -> int:
    """The exit status: 0 if all is linearizable, 1 if not, 2 without Go."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--worlds", type=int, default=200)
    parser.add_argument("--real", type=int, default=4)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--first", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="moonlet-porcupine-") as name:
        folder = Path(name)
        program = build(folder)
        if program is None:
            print(NO_GO, file=sys.stderr)
            return 2
        half = options.worlds // 2
        seeds = range(options.first, options.first + half)
        files = record_worlds(worlds.anything, seeds, folder)
        files += record_worlds(worlds.late, range(options.first, options.first + half), folder)
        files += record_real(range(options.real), folder, options.steps)
        wrong = folder / "wrong-on-purpose.jsonl"
        spoil(worlds.last[0]).save(wrong)
        found = subprocess.run([str(program), str(wrong)], capture_output=True, text=True)
        if found.returncode != 1:
            print(f"Porcupine took a wrong history for right:\n{found.stdout}{found.stderr}")
            return 1
        return subprocess.run([str(program), *map(str, files)]).returncode


if __name__ == "__main__":
    sys.exit(main())
