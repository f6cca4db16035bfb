"""Plant each mutant in a copy of the tree and let the suite's scenarios look for it.

`python -m tests.simulations.mutation [NAME ...] [--seconds N] [--seeds N] [--jobs N]`. A failure
counts only if the unchanged code passes that very seed.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from tests.simulations.mutant import Mutant
from tests.simulations.mutants import MUTANTS
from tests.tools import tree

ROOTS = ("core", "streams", "agents", "simulations", "telemetry")
TESTS = ("workshop.py", "hub.py", "hunt.py")
SCENARIOS = ("workshop", "zombies", "lossy", "trickle", "reference", "hubs", "resting")
SEEDS = 2_000
ROUNDS = (5, 45, 200, 600, 2_000)
"""The scenarios take turns: each runs its seeds up to these, one after the other."""


class Found(NamedTuple):
    """Where a mutant was found: after how many seeds; `seeds` is 0 if it was not."""

    mutant: Mutant
    scenario: str
    seed: int
    seeds: int
    tried: int
    failure: str
    text: str


class Trees:
    """A folder with a copy of the unchanged tree, and one per mutant."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.plain = folder / "plain"
        for root in ROOTS:
            shutil.copytree(
                tree.ROOT / root, self.plain / root, ignore=shutil.ignore_patterns("__pycache__")
            )
        target = self.plain / "tests" / "simulations"
        target.mkdir(parents=True)
        for name in TESTS:
            shutil.copy2(tree.ROOT / "tests" / "simulations" / name, target / name)

    @contextmanager
    def with_mutant(self, mutant: Mutant) -> Iterator[Path]:
        """A copy that holds the bug; raises `LookupError` if an old text isn't there once."""
        root = self._folder / mutant.name
        shutil.copytree(self.plain, root)
        try:
            for name, old, new in mutant.changes:
                path = root / name
                text = path.read_text(encoding="utf-8")
                if text.count(old) != 1:
                    raise LookupError(f"{mutant.name}: {name} holds {text.count(old)}×: {old!r}")
                path.write_text(text.replace(old, new), encoding="utf-8")
            yield root
        finally:
            shutil.rmtree(root)


def hunt(root: Path, scenario: str, first: int, seeds: int, seconds: float) -> dict[str, Any]:
    """What `tests.simulations.hunt` says of the tree at `root`."""
    paths = os.pathsep.join(str(root / name) for name in (*ROOTS, "."))
    command = [sys.executable, "-m", "tests.simulations.hunt", scenario]
    options = ["--first", str(first), "--seeds", str(seeds), "--seconds", str(seconds)]
    ran = subprocess.run(
        [*command, *options],
        cwd=root,
        env={**os.environ, "PYTHONPATH": paths, "PYTHONHASHSEED": "0"},
        check=False,
        capture_output=True,
        text=True,
        timeout=seconds + 300,
    )
    if ran.returncode:
        raise RuntimeError(f"the hunt in {root.name} ended with {ran.returncode}:\n{ran.stderr}")
    answer: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return answer


def find(trees: Trees, mutant: Mutant, seeds: int, seconds: float) -> Found:
    """Look for one mutant within so many seeds in all, and about so many seconds."""
    tried = 0
    until = time.monotonic() + seconds
    with trees.with_mutant(mutant) as root:
        for start, end in pairwise((0, *ROUNDS)):
            for scenario in SCENARIOS:
                first = start
                while first < end:
                    left = until - time.monotonic()
                    most = min(end - first, seeds - tried)
                    if left <= 0 or most <= 0:
                        return Found(mutant, "", 0, 0, tried, "", "")
                    got = hunt(root, scenario, first, most, left)
                    tried += got["passed"] + (got["seed"] is not None)
                    if got["seed"] is None:
                        break
                    first = got["seed"] + 1
                    if hunt(trees.plain, scenario, got["seed"], 1, seconds)["seed"] is None:
                        where = scenario, got["seed"]
                        return Found(mutant, *where, tried, tried, got["failure"], got["text"])
    return Found(mutant, "", 0, 0, tried, "", "")


def find_all(
    mutants: Sequence[Mutant], *, seeds: int = SEEDS, seconds: float = 60.0, jobs: int = 1
) -> Iterator[Found]:
    """Look for each mutant; yields in their order."""
    with tempfile.TemporaryDirectory(prefix="moonlet-mutants-") as folder:
        trees = Trees(Path(folder))
        with ThreadPoolExecutor(jobs) as pool:
            yield from pool.map(lambda mutant: find(trees, mutant, seeds, seconds), mutants)


def main(arguments: list[str]) -> int:
    """Print the table; the exit code is how many mutants were not found."""
    parser = argparse.ArgumentParser(prog="mutation")
    parser.add_argument("names", nargs="*")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--jobs", type=int, default=1)
    given = parser.parse_args(arguments)
    chosen = [m for m in MUTANTS if not given.names or m.name in given.names]
    lost = 0
    print("| mutant | what | seeds to find | found by |\n|---|---|---|---|")
    for found in find_all(chosen, seeds=given.seeds, seconds=given.seconds, jobs=given.jobs):
        lost += not found.seeds
        count = str(found.seeds) if found.seeds else f"NOT FOUND in {found.tried}"
        by = f"{found.failure} ({found.scenario} {found.seed})" if found.seeds else ""
        print(f"| {found.mutant.name} | {found.mutant.what} | {count} | {by} |", flush=True)
    print(f"\n{len(chosen) - lost} of {len(chosen)} mutants were found")
    return lost


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
