"""The index of changes: exact, bounded, and honest about what it has forgotten."""

import random

import pytest

from moonlet.projections.fields.changes import Changes
from tests.projections.helpers import Raised, commit, new_state


def test_what_changed_since_a_sequence_is_exactly_that_compacted_or_not() -> None:
    chance = random.Random(1)
    changes, last = Changes(), dict[str, int]()
    for batch in range(20):
        fresh = {f"key-{chance.randrange(30)}": 10 * batch + n for n in range(1, 10)}
        changes.add(dict(chance.sample(sorted(fresh.items()), len(fresh))))
        last.update(fresh)
        changes.add_all(["joined"], 10 * batch + 10)
        last["joined"] = 10 * batch + 10
        if chance.random() < 0.3:
            changes.compact()
            assert len(changes) == len(last)
        for since in range(10 * batch + 11):
            assert set(changes.since(since)) == {key for key, n in last.items() if n > since}


def test_the_index_is_bounded_and_says_how_far_back_it_knows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("moonlet.projections.view.state.MAX_INDEX", 50)
    state = new_state()
    last: dict[str, int] = {}
    chance = random.Random(2)
    eu = state.journals.index["eu"]
    for sequence in range(1, 1_000):
        key = f"alert-{chance.randrange(40)}"
        state.fold(commit(sequence, Raised(key)), "eu")
        last[key] = sequence
        if sequence % 7 == 0:
            state.settle()
            assert sum(len(c) for store in state.stores.values() for c in store.index) <= 50
            floor = state.floor[eu]
            assert sequence - floor >= min(sequence, 10), "it forgets no more than it must"
            since = [0] * len(state.vector)
            since[eu] = floor
            touched = state.touched(since)
            assert touched is not None
            assert touched["alerts"] == {key for key, n in last.items() if n > floor}
            since[eu] = floor - 1
            assert floor == 0 or state.touched(since) is None
