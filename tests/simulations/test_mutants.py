"""Planted bugs are found by the ordinary scenarios: here the quick ones, in `make mutants` all."""

import pytest

from tests.simulations.mutants import MUTANTS
from tests.simulations.mutation import find_all
from tests.tools import tree

QUICK = (
    "ack-before-dispatch",
    "refusal-without-commit",
    "timer-twice",
    "no-redo",
    "put-back-at-the-end",
)
"""One of each kind that a seed or two find."""


def test_every_mutant_fits_the_code_of_today() -> None:
    for mutant in MUTANTS:
        for name, old, new in mutant.changes:
            assert tree.read(tree.ROOT / name).count(old) == 1, f"{mutant.name}: {old!r}"
            assert new != old


def test_there_are_many_mutants_of_different_names() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 25


@pytest.mark.timeout(300)
def test_planted_bugs_are_found_by_tests_that_know_nothing_of_them() -> None:
    chosen = [mutant for mutant in MUTANTS if mutant.name in QUICK]
    for found in find_all(chosen, seeds=20, seconds=60):
        assert found.seeds, f"{found.mutant.name} survived {found.tried} seeds"
