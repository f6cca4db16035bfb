"""Calls outside in worlds under all faults: each errand ends once, tried as often as it says."""

from moonlet.simulations.search import sweep
from tests.simulations.errands import clocks, errands

SEEDS = 8


def test_every_errand_ends_once_and_as_it_must() -> None:
    sweep(errands, range(SEEDS)).report()


def test_clocks_that_are_hours_off_drag_no_time_along() -> None:
    sweep(clocks, range(SEEDS)).report()


def test_attempts_and_their_waits_are_the_seeds() -> None:
    """What stamina draws and waits for is the world's."""
    first, again = errands.run(3), errands.run(3)
    assert first.error is None
    assert first.trace.digest == again.trace.digest
    assert first.trace.digest != errands.run(4).trace.digest
