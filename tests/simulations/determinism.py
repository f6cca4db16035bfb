"""Goal 1: one digest per seed, whatever the process and its hash seed.

`python -m tests.simulations.determinism [--seeds 10000] [--first 0]` runs each seed of the
reference scenario in three fresh processes, under PYTHONHASHSEED 0, 1 and random, and compares.
"""

from __future__ import annotations

import argparse
import sys
import time

from moonlet.simulations.reference import reference
from moonlet.simulations.run import run_elsewhere

HASH_SEEDS = ("0", "1", "random")
CHUNK = 250
"""Seeds that one process runs."""

MINUTE = 60.0


def digest(seed: int) -> str:
    """What another process is asked for."""
    return reference.run(seed).digest


def differing(seeds: range) -> dict[int, set[str]]:
    """The seeds with more than one digest, each with its digests."""
    target = f"{__spec__.name}:digest"
    found = [
        run_elsewhere(target, seeds, hash_seed=hash_seed, timeout=20 * MINUTE)
        for hash_seed in HASH_SEEDS
    ]
    columns = zip(seeds, *found, strict=True)
    return {seed: set(digests) for seed, *digests in columns if len(set(digests)) > 1}


def main(arguments: list[str]) -> int:
    """Print how far it came; the exit code is 1 if a seed has several digests."""
    parser = argparse.ArgumentParser(prog="determinism")
    parser.add_argument("--seeds", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0)
    given = parser.parse_args(arguments)
    began, end = time.monotonic(), given.first + given.seeds
    bad: dict[int, set[str]] = {}
    for first in range(given.first, end, CHUNK):
        bad |= differing(range(first, min(end, first + CHUNK)))
        done = min(end, first + CHUNK) - given.first
        seconds = time.monotonic() - began
        print(f"{done:,} seeds x {len(HASH_SEEDS)} processes, {len(bad)} differ, {seconds:.0f} s",
              flush=True)  # fmt: skip
    for seed, digests in bad.items():
        print(f"seed {seed}: {', '.join(sorted(digests))}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
