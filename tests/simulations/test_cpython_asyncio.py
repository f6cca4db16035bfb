"""Ordinary asyncio code runs on our loop: CPython's own tests of asyncio say so."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SUITE = Path(__file__).with_name("cpython_suite.py")
MODULES = (
    "test_locks", "test_queues", "test_taskgroups", "test_timeouts", "test_waitfor", "test_runners"
)  # fmt: skip
FEWEST = 222  # as many as Python 3.11.7 has; later ones have more


def has_cpython_tests() -> bool:
    try:
        return importlib.util.find_spec("test.test_asyncio") is not None
    except ModuleNotFoundError:
        return False


@pytest.mark.skipif(not has_cpython_tests(), reason="this Python comes without its tests")
def test_cpythons_own_asyncio_tests_pass_on_our_loop() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, str(SUITE), *MODULES],
        capture_output=True, text=True, env=environment, timeout=100, check=True,
    )  # fmt: skip
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["failed"] == []
    assert result["skipped"] == []
    assert result["run"] >= FEWEST
    assert result["loops"] >= result["run"]
