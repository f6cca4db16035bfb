"""The page of consistency: each of its lines names tests, and these exist."""

import re

import pytest

from tests.test_docs import defined_names
from tests.tools import tree
from tests.tools.tree import ROOT

PAGE = (ROOT / "docs" / "consistency.md").read_text(encoding="utf-8")
ROWS = [line for line in PAGE.splitlines() if line.startswith("| **")]


def test_there_are_lines_for_agents_for_chains_and_for_views() -> None:
    assert len(ROWS) >= 14


@pytest.mark.parametrize("row", ROWS, ids=[row[:60] for row in ROWS])
def test_each_line_names_a_test_that_exists(row: str) -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", row)
    assert named
    for file, test in named:
        assert (ROOT / file) in {ROOT / path for path in tree.tracked()}, file
        assert test in defined_names((ROOT / file).relative_to(ROOT)), (file, test)
