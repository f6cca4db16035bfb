"""Delta debugging: what is needed stays, all else goes, and no run is spent twice on nothing."""

from itertools import combinations

from moonlet.simulations.faults import Fault
from moonlet.simulations.search.shrinking import ddmin

PLAN = [Fault(at=n, kind="crash", target="h1") for n in range(24)]


def never() -> bool:
    return False


def test_any_two_needed_faults_are_found_among_many() -> None:
    for needed in combinations(PLAN[::5], 2):
        runs = 0

        def fails(plan: list[Fault], needed: tuple[Fault, ...] = needed) -> bool:
            nonlocal runs
            runs += 1
            return set(needed) <= set(plan)

        assert ddmin(list(PLAN), fails, never) == list(needed)
        assert runs < 60


def test_a_failure_without_any_fault_needs_none() -> None:
    assert ddmin(list(PLAN), lambda plan: True, never) == []


def test_without_budget_the_plan_stays_as_it_is() -> None:
    assert ddmin(list(PLAN), lambda plan: bool(plan), lambda: True) == PLAN


def test_a_fault_that_only_counts_with_all_others_keeps_them_all() -> None:
    assert ddmin(list(PLAN[:6]), lambda plan: len(plan) == 6, never) == PLAN[:6]
