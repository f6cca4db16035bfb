"""Chance: named dice, keyed draws, integers only."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonlet.simulations.seed import KEYED_BITS, Seed, within


@given(seed=st.integers(), bound=st.integers(1, 1 << 70))
def test_a_draw_lies_below_its_bound(seed: int, bound: int) -> None:
    dice = Seed(seed).dice("any")
    assert all(0 <= dice.below(bound) < bound for _ in range(20))


def test_what_is_drawn_never_changes() -> None:
    """Plans outlive the generators, but a seed that somebody noted should go on to mean itself."""
    dice = Seed(98).dice("latency")
    assert [dice.below(1000) for _ in range(5)] == [599, 824, 353, 360, 47]
    assert dice.octets(4).hex() == "960132d4"
    assert dice.shuffled("abcdef") == list("dfbace")
    assert Seed(98).keyed("h1>nats", "append a1/open-1", 1) == 6440841064542544088


def test_dice_of_different_names_and_seeds_are_independent() -> None:
    def drawn(seed: Seed, name: str) -> list[int]:
        return [seed.dice(name).below(1 << 32) for _ in range(4)]

    one = Seed(1)
    first = drawn(one, "a")
    assert first != drawn(one, "b")
    assert first != drawn(Seed(2), "a")
    other = Seed(1)
    drawn(other, "b")
    assert drawn(other, "a") == first


def test_the_dice_of_a_name_are_one_sequence() -> None:
    asked_twice, kept = Seed(1), Seed(1).dice("a")
    both = [asked_twice.dice("a").below(1 << 32) for _ in range(2)]
    assert both == [kept.below(1 << 32) for _ in range(2)]


def test_a_keyed_draw_depends_on_nothing_but_its_key() -> None:
    drawn = Seed(5).keyed("h1>nats", "pub a", 2)
    busy = Seed(5)
    for attempt in range(10):
        busy.keyed("h2>nats", "pub b", attempt)
        busy.dice("wire").below(6)
    assert busy.keyed("h1>nats", "pub a", 2) == drawn
    others = {
        busy.keyed("h1>nats", "pub a", 3),
        busy.keyed("h1>nats", "pub a2"),
        busy.keyed("h1>natsp", "ub a", 2),
        busy.keyed("h2>nats", "pub a", 2),
        Seed(6).keyed("h1>nats", "pub a", 2),
    }
    assert drawn not in others
    assert len(others) == 5


@given(st.integers(0, (1 << KEYED_BITS) - 1), st.integers(1, 1 << 40))
def test_a_keyed_draw_scales_into_its_bound(drawn: int, bound: int) -> None:
    assert 0 <= within(drawn, bound) < bound


def test_draws_are_spread_evenly() -> None:
    seed = Seed(3)
    dice = seed.dice("spread")
    rolled = [dice.below(6) for _ in range(6000)]
    keyed = [within(seed.keyed("link", str(number)), 6) for number in range(6000)]
    for draws in (rolled, keyed):
        assert all(850 < draws.count(face) < 1150 for face in range(6))
    hits = sum(dice.chance(50_000) for _ in range(20_000))
    assert 800 < hits < 1200
    assert not any(dice.chance(0) for _ in range(100))
    assert all(dice.chance(1_000_000) for _ in range(100))


def test_picks_samples_and_shuffles_are_of_the_items() -> None:
    dice = Seed(4).dice("items")
    items = list(range(10))
    assert sorted(dice.shuffled(items)) == items
    assert {dice.pick(items) for _ in range(300)} == set(items)
    sample = dice.sample(items, 4)
    assert len(set(sample)) == 4
    assert set(sample) <= set(items)
    assert {dice.between(3, 5) for _ in range(100)} == {3, 4, 5}
    assert dice.octets(0) == b""
    with pytest.raises(AssertionError):
        dice.below(0)
