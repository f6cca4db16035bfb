"""The laws of the frontier: a join semilattice of stream → last sequence."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonlet.core.frontier import Frontier

SEQUENCES = st.dictionaries(st.sampled_from("abcd"), st.integers(0, 5))
FRONTIERS = SEQUENCES.map(Frontier.of)


@given(FRONTIERS, FRONTIERS, FRONTIERS)
def test_merging_is_associative_commutative_and_idempotent(
    a: Frontier, b: Frontier, c: Frontier
) -> None:
    assert a.merged(b) == b.merged(a)
    assert a.merged(b).merged(c) == a.merged(b.merged(c))
    assert a.merged(a) == a
    assert a.merged(Frontier()) == Frontier().merged(a) == a


@given(FRONTIERS, FRONTIERS, FRONTIERS)
def test_the_merged_frontier_is_the_least_that_covers_both(
    a: Frontier, b: Frontier, c: Frontier
) -> None:
    merged = a.merged(b)
    assert merged.covers(a) and merged.covers(b)
    if c.covers(a) and c.covers(b):
        assert c.covers(merged)


@given(FRONTIERS, FRONTIERS)
def test_covering_is_a_partial_order(a: Frontier, b: Frontier) -> None:
    assert a.covers(a) and a.covers(Frontier())
    if a.covers(b) and b.covers(a):
        assert a == b
    assert a.covers(b) == (a.merged(b) == a)


@given(FRONTIERS, st.sampled_from("abcde"), st.integers(0, 6))
def test_advancing_sees_one_more_and_never_goes_back(
    before: Frontier, stream: str, sequence: int
) -> None:
    unchanged = dict(before.sequences)
    after = before.advanced(stream, sequence)
    assert after.at(stream) == max(before.at(stream), sequence)
    assert after == before.merged(Frontier.of({stream: sequence}))
    assert before.sequences == unchanged


@given(SEQUENCES)
def test_a_sequence_of_zero_is_nothing_seen(sequences: dict[str, int]) -> None:
    assert 0 not in Frontier.of(sequences).sequences.values()
    assert Frontier.of(sequences) == Frontier(sequences).merged(Frontier())
    assert Frontier(sequences).covers(Frontier.of(sequences))
    assert Frontier.of(sequences).covers(Frontier(sequences))


@given(FRONTIERS, FRONTIERS)
def test_equal_frontiers_have_equal_bytes_however_they_came_about(a: Frontier, b: Frontier) -> None:
    for encode in (msgspec.json.encode, msgspec.msgpack.encode):
        assert encode(a.merged(b)) == encode(b.merged(a))
    assert msgspec.json.decode(msgspec.json.encode(a), type=Frontier) == a


def test_a_negative_sequence_is_a_mistake_of_ours() -> None:
    with pytest.raises(AssertionError):
        Frontier.of({"a": -1})
