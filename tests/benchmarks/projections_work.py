"""The work that views and other libraries are given, and how its time is taken."""

import gc
import random
import time
from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from moonlet.core.commit import Commit
from moonlet.streams import StoredMessage, encode_commit
from tests.benchmarks.world import Stopwatch

WRITES = 100_000
KEYS = 10_000
Writes = list[tuple[str, str]]
Churn = list[tuple[str, str | None]]


def map_writes(count: int, seed: int = 1, keys: int = KEYS) -> Writes:
    chance = random.Random(seed)
    return [(f"key-{chance.randrange(keys):05d}", f"value-{n:010d}") for n in range(count)]


def set_changes(count: int, elements: int, seed: int = 1) -> Churn:
    """Additions and removals, of what is there only; an addition may come twice."""
    chance = random.Random(seed)
    there: set[str] = set()
    changes: Churn = []
    for _ in range(count):
        key = f"element-{chance.randrange(elements):05d}"
        if key in there and chance.random() < 0.5:
            there.discard(key)
            changes.append((key, None))
        else:
            there.add(key)
            changes.append((key, ""))
    return changes


def as_message(commit: Commit[Any]) -> StoredMessage:
    """A commit as a journal hands it out."""
    (payload, headers), _ = encode_commit(replace(commit, sequence=0), "json")
    return StoredMessage("moon.evt.oracle.main", commit.sequence, 0, dict(headers), payload)


def timed(work: Callable[[], object]) -> float:
    """Seconds, of work that waits for a disk or a server."""
    watch = Stopwatch()
    work()
    return watch.stop()


def computed(work: Callable[[], object]) -> float:
    """Seconds of processor time, of work that waits for nothing: the machine's load counts less."""
    gc.collect()
    began = time.process_time()
    work()
    return time.process_time() - began
