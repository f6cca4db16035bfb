"""Ring 4 of the guard: one seed, run again, must leave the same trace.

Within a process (`run_twice`) other addresses and what an earlier run left behind come to light;
in another one (`run_elsewhere`) also what hangs on the hashes of strings.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from itertools import zip_longest
from typing import TypeAlias

from moonlet.simulations.errors import Diverged, SimulationError
from moonlet.simulations.trace import Trace

Attempt: TypeAlias = Callable[[Trace], object]

DISTURBANCE = 20_000  # objects: enough to shift what the allocator hands out next
BOOT = """
import importlib, json, sys
module, _, function = sys.argv[1].partition(":")
run = getattr(importlib.import_module(module), function)
print("digests", json.dumps([run(seed) for seed in json.loads(sys.argv[2])]))
"""


def run_twice(attempt: Attempt) -> Trace:
    """Run `attempt` with two traces, in a disturbed memory the second time; the first trace.

    Raises `Diverged` with the first step or event that differs. If both runs fail the same way,
    the first one's error is raised.
    """
    first = Trace(keep=True)
    error = _failure(attempt, first)
    disturbance = [bytearray(size % 600) for size in range(DISTURBANCE)]
    del disturbance[::3]
    second = Trace(keep=True)
    other = _failure(attempt, second)
    if first.digest != second.digest:
        raise _difference(first, second)
    if repr(error) != repr(other):
        raise Diverged(first.count, f"One ends with {error!r}, the other with {other!r}.")
    if error is not None:
        raise error
    return first


def run_elsewhere(
    target: str, seeds: Sequence[int], *, hash_seed: str = "random", timeout: float = 300.0
) -> list[str]:
    """The digest of each seed as another process sees it: `target` is `module:function`.

    The function takes a seed and returns a digest. `hash_seed` is the `PYTHONHASHSEED` of the
    process, `timeout` in seconds; what it prints on standard error goes into `SimulationError`.
    """
    environment = {
        **os.environ,
        "PYTHONHASHSEED": hash_seed,
        "PYTHONPATH": os.pathsep.join(filter(None, [os.getcwd(), *sys.path])),
        "TZ": "UTC",
    }
    command = [sys.executable, "-c", BOOT, target, json.dumps(list(seeds))]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=timeout, check=False
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("digests ")]
    if done.returncode or not lines:
        raise SimulationError(
            f"{target} failed in a fresh process (PYTHONHASHSEED={hash_seed}), though it may pass "
            f"in this one: look for state of the module that an earlier run left.\n{done.stderr}"
        )
    digests: list[str] = json.loads(lines[-1].removeprefix("digests "))
    return digests


def _failure(attempt: Attempt, trace: Trace) -> Exception | None:
    try:
        attempt(trace)
    except Exception as error:
        return error
    return None


def _difference(first: Trace, second: Trace) -> Diverged:
    """The first step and the first event that differ."""
    event = ""
    for one, other in zip_longest(first.events, second.events):
        if one != other:
            event = f" First event that differs: {one} and {other}."
            break
    for step, pair in enumerate(zip_longest(_told(first), _told(second))):
        if pair[0] != pair[1]:
            return Diverged(step, f"One run: {pair[0]}. The other: {pair[1]}.{event}")
    return Diverged(first.count, event.strip() or "Only the names of tasks differ.")


def _told(trace: Trace) -> Iterator[str]:
    """The kept steps in words."""
    for at_ns, who in zip(trace.kept[::2], trace.kept[1::2], strict=True):
        name = trace.names[who] if who > 0 else f"life {-who}" if who else "the driver"
        yield f"{name} at t={at_ns / 1e9:.9f}s"
