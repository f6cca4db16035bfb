"""Runs CPython's own asyncio tests on our loop; started as a process by the test beside it.

    python cpython_suite.py MODULE ...

`MODULE` is a module of `test.test_asyncio`. Sleeping threads are played by time that passes in a
step. Prints one JSON line: tests run, skipped, failed (with their reports), and loops made.
"""

import asyncio
import importlib
import io
import json
import sys
import time
import unittest
import warnings
from typing import Any

from moonlet.simulations.loop import SimLoop


class BusyLoop(SimLoop):
    """A millisecond for 256 steps: one test spins until a timer interrupts it."""

    def _end_block(self) -> None:
        self.spend(1_000_000)
        super()._end_block()


made: list[SimLoop] = []


def new_loop() -> SimLoop:
    made.append(BusyLoop())
    return made[-1]


class SimPolicy(asyncio.DefaultEventLoopPolicy):  # type: ignore[misc, unused-ignore]
    """Every `new_event_loop` is ours."""

    def new_event_loop(self) -> Any:
        return new_loop()


def now_ns() -> int:
    return made[-1].now_ns if made else 0


def pass_time(seconds: float) -> None:
    made[-1].spend(int(seconds * 1e9))


def main(modules: list[str]) -> None:
    # The tests set the policy back to the default, so the default is ours.
    asyncio.DefaultEventLoopPolicy = SimPolicy  # type: ignore[misc, unused-ignore]
    asyncio.events._init_event_loop_policy = lambda: asyncio.set_event_loop_policy(SimPolicy())  # type: ignore[attr-defined]
    asyncio.set_event_loop_policy(SimPolicy())
    asyncio.BaseEventLoop = new_loop  # type: ignore[assignment, misc] # as test_runners makes them
    time.monotonic = lambda: now_ns() / 1e9
    time.sleep = pass_time  # type: ignore[assignment]
    report = io.StringIO()
    suite = unittest.TestSuite()
    for name in modules:
        found = importlib.import_module(f"test.test_asyncio.{name}")
        suite.addTest(unittest.defaultTestLoader.loadTestsFromModule(found))
    result = unittest.TextTestRunner(stream=report).run(suite)
    failed = [f"{case.id()}\n{text}" for case, text in result.failures + result.errors]
    print(
        json.dumps(
            {
                "run": result.testsRun,
                "skipped": [f"{case.id()}: {why}" for case, why in result.skipped],
                "failed": failed,
                "loops": len(made),
            }
        )
    )


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(sys.argv[1:])
