"""Runs that failed once, kept as files in tests/seeds: each must pass on today's code.

A new one is copied there by the line that a failure prints:
`cp .moonlet/seeds/NAME.sim tests/seeds/`.
"""

from pathlib import Path

import pytest

from moonlet.simulations.replay import replay
from tests.tools import tree

KEPT = sorted((tree.ROOT / "tests" / "seeds").glob("*.sim"))


@pytest.mark.parametrize("file", KEPT, ids=lambda file: file.stem)
def test_a_kept_run_passes(file: Path) -> None:
    run = replay(file)
    assert run.error is None, f"{run.scenario.name}: {run.error}"
    assert run.hits, "its faults find nothing to hit any more: keep it as a test of another kind"


def test_there_are_kept_runs() -> None:
    assert KEPT
