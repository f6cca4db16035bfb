"""Topics in worlds under all faults: what is stored is heard by every position."""

from moonlet.simulations.search import sweep
from tests.simulations.listeners import left_behind, listeners, speaker
from tests.simulations.worlds import passes

SEEDS = 6


def test_what_is_published_is_heard_by_all_who_listen() -> None:
    sweep(listeners, range(SEEDS)).report()


def test_who_is_slow_is_told_and_who_was_away_knows_what_is_gone() -> None:
    passes(left_behind, agents=(speaker,), hosts=1)
