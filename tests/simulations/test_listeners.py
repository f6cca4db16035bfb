"""Topics in worlds under all faults: what is stored is heard by every position."""

from moonlet.simulations.search import sweep
from tests.simulations.listeners import listeners

SEEDS = 6


def test_what_is_published_is_heard_by_all_who_listen() -> None:
    sweep(listeners, range(SEEDS)).report()
