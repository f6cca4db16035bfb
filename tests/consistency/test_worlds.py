"""Clients that do anything, in worlds: no order that explains what they saw is a failure."""

from moonlet.simulations.search import asked_seeds, sweep
from tests.consistency import worlds
from tests.consistency.anything import MENU

SEEDS = 6


def test_whatever_clients_do_one_order_explains_what_they_saw() -> None:
    sweep(worlds.anything, asked_seeds(SEEDS)).report()


def test_also_where_owners_know_late_what_their_journal_shows() -> None:
    sweep(worlds.late, asked_seeds(SEEDS)).report()


def test_everything_on_the_menu_is_done() -> None:
    done: set[str] = set()
    for seed in range(4):
        assert worlds.calm.run(seed).error is None
        done |= set(worlds.steps)
    assert done == {what for what, _ in MENU}
    assert any(op.numbers for op in worlds.last[0].operations)
