"""More senders than memory holds, under all faults: nothing counts twice, nothing vanishes."""

import pytest

from moonlet.core.memory import Past
from moonlet.simulations.search import sweep
from tests.simulations.hub import hubs, resting

SEEDS = 12


def test_no_promise_breaks_at_a_hub() -> None:
    sweep(hubs, range(1_000, 1_000 + SEEDS)).report()
    sweep(resting, range(1_000, 1_000 + SEEDS)).report()


def test_what_left_memory_is_stored_merged_and_looked_up_there() -> None:
    """A scenario in which it never happens can't find what is wrong with it."""
    run = hubs.run(3)
    assert run.error is None
    wanted = {"what left an agent's memory is stored", "what left an agent's memory is looked up"}
    assert wanted <= set(run.reached), run.reached


def test_a_sender_that_is_forgotten_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Past, "_add", lambda self, key, fact: None)
    broken = [hubs.run(seed).error for seed in range(3)]
    assert any("P3 exactly once" in str(error) for error in broken), broken
