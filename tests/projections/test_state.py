"""Folding commits, reading values and tokens: the cases that DESIGN and the issue name."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from moonlet.core.errors import Invalid, InvalidMessage, LimitExceeded
from moonlet.core.hlc import Timestamp
from moonlet.projections import (
    At,
    AWSet,
    Dot,
    Fields,
    GSet,
    ImpureFold,
    InvalidView,
    LexCounter,
    Max,
    MVRegister,
    Observed,
    ORMap,
    PoisonedEvent,
    View,
    ViewState,
    apply_delta,
    make_delta,
)
from tests.projections.helpers import (
    Acknowledged,
    Forgot,
    Opened,
    Raised,
    Rated,
    commit,
    exposure_view,
    journals,
    new_state,
)


def test_all_events_of_a_commit_are_folded() -> None:
    state = new_state()
    assert state.fold(commit(1, Opened("aave", 5), Opened("aave", 7), Opened("sky", 1)), "eu")
    assert state.value["total"] == 13
    assert state.value["by_protocol"] == {"aave": 12, "sky": 1}
    assert state.value["notes"]["aave"] == "opened by aegis/main"
    assert state.frontier.sequences == {"eu": 1}


def test_add_remove_and_add_of_one_key_in_one_commit_leaves_it_there() -> None:
    state = new_state()
    state.fold(commit(1, Raised("a"), Acknowledged("a"), Raised("a")), "eu")
    assert state.value["alerts"] == ["a"]
    _, token = state.read("alerts", "a")
    assert [(dot.sequence, dot.index) for dot in token.rows[0].dots] == [(1, 2)]


def test_add_and_remove_of_one_key_in_one_commit_leaves_nothing() -> None:
    state = new_state()
    state.fold(commit(1, Raised("a"), Acknowledged("a")), "eu")
    assert state.value["alerts"] == []
    state.fold(commit(2, Opened("aave", 5), Forgot("aave")), "eu")
    assert state.value["by_protocol"] == {}
    assert state.value["total"] == 5


def test_a_removal_of_a_dot_still_ahead_spares_another_key_of_the_same_commit() -> None:
    near, far = new_state(), new_state()
    both = commit(1, Raised("a"), Raised("b"))
    near.fold(both, "eu")
    _, token = near.read("alerts", "a")
    far.fold(commit(1, Acknowledged("a", token)), "us")
    assert far.ahead == 1
    far.fold(both, "eu")
    assert far.value["alerts"] == ["b"]
    assert far.ahead == 0
    near.fold(commit(1, Acknowledged("a", token)), "us")
    assert near.digest == far.digest


def test_one_dot_of_two_keys_is_removed_from_one_of_them_only() -> None:
    pair = View("pair", version=1, keys=AWSet)

    @pair.on_event
    def raised(view: Fields, event: Raised, at: At) -> None:
        view.keys.add(event.alert)
        view.keys.add(event.alert + "'")

    @pair.on_event
    def acknowledged(view: Fields, event: Acknowledged, at: At) -> None:
        view.keys.remove(event.alert)

    near, far = ViewState(pair, journals()), ViewState(pair, journals())
    near.fold(commit(1, Raised("a")), "eu")
    _, token = near.read("keys", "a")
    far.fold(commit(1, Acknowledged("a", token)), "us")
    far.fold(commit(1, Raised("a")), "eu")
    assert far.value["keys"] == ["a'"]


def test_two_operators_apart_acknowledge_and_raise_again() -> None:
    state, other = new_state(), new_state()
    for replica in (state, other):
        replica.fold(commit(1, Raised("depeg")), "eu")
    _, token = other.read("alerts", "depeg")
    state.fold(commit(2, Raised("depeg")), "eu")  # raised anew, which the operator hasn't seen
    state.fold(commit(1, Acknowledged("depeg", token)), "us")
    assert state.value["alerts"] == ["depeg"]
    _, token = state.read("alerts", "depeg")
    state.fold(commit(2, Acknowledged("depeg", token)), "us")
    assert state.value["alerts"] == []


def test_values_written_unaware_of_each_other_are_both_shown_until_one_saw_both() -> None:
    state = new_state()
    state.fold(commit(1, Rated("high")), "eu")
    state.fold(commit(1, Rated("low")), "us")
    values, token = state.read("risk")
    assert values == ["high", "low"]
    state.fold(commit(2, Rated("middle", token)), "us")
    assert state.value["risk"] == ["middle"]


def test_without_a_token_a_write_replaces_what_its_own_journal_wrote() -> None:
    state = new_state()
    state.fold(commit(1, Rated("high")), "eu")
    state.fold(commit(1, Rated("low")), "us")
    state.fold(commit(2, Rated("middle")), "eu")
    assert state.value["risk"] == ["low", "middle"]


def test_a_removed_counter_keeps_what_was_added_elsewhere_meanwhile() -> None:
    state = new_state()
    state.fold(commit(1, Opened("aave", 5)), "eu")
    _, token = state.read("by_protocol", "aave")
    state.fold(commit(1, Opened("aave", 7)), "us")
    state.fold(commit(1, Forgot("aave", token)), "asia")
    assert state.value["by_protocol"] == {"aave": 7}
    state.fold(commit(2, Opened("aave", 1)), "eu")
    assert state.value["by_protocol"] == {"aave": 8}


def test_the_token_of_a_key_that_is_not_there_replaces_nothing() -> None:
    state = new_state()
    _, token = state.read("risk")
    state.fold(commit(1, Rated("high")), "eu")
    state.fold(commit(2, Rated("low", token)), "eu")
    assert state.value["risk"] == ["high", "low"]


def test_a_token_of_another_view_is_none_of_ours() -> None:
    state, other = new_state(), new_state(exposure_view(name="other"))
    for replica in (state, other):
        replica.fold(commit(1, Rated("high")), "eu")
    _, token = other.read("risk")
    state.fold(commit(1, Rated("low", token)), "us")
    assert state.value["risk"] == ["high", "low"]


def test_tokens_of_two_keys_are_joined() -> None:
    state = new_state()
    state.fold(commit(1, Raised("a"), Raised("b")), "eu")
    token = state.read("alerts", "a")[1] | state.read("alerts", "b")[1]
    assert [row.key for row in token.rows] == ["a", "b"]
    with pytest.raises(LimitExceeded) as error:
        Observed("exposure", token.rows * 40)
    assert (error.value.limit, error.value.value) == (64, 80)


class Kept:
    """What no fold should do, in a way that can't be seen where it is declared."""

    def __init__(self) -> None:
        self.things: list[Any] = []

    def keep(self, thing: object) -> None:
        self.things.append(thing)


def test_the_handler_sees_dot_agent_revision_time_and_token() -> None:
    seen = Kept()
    view = View("seen", version=1, total=LexCounter)

    @view.on_event
    def acknowledged(fields: Fields, event: Acknowledged, at: At) -> None:
        seen.keep(at)

    state = ViewState(view, journals())
    _, token = state.read("total")
    state.fold(commit(3, Raised("x"), Acknowledged("a", token), micros=77), "eu")
    (at,) = seen.things
    assert at.dot == Dot(state.journals.tags[1], 3, 1)
    assert (at.agent.type, at.agent.key, at.revision) == ("aegis", "main", 3)
    assert at.time == Timestamp(77)
    assert at.observed == token


def test_an_event_of_no_handler_only_moves_the_frontier() -> None:
    class Strange(msgspec.Struct, frozen=True):
        x: int

    state = new_state()
    before = state.canonical()
    assert state.fold(commit(4, Strange(1)), "eu")
    assert state.canonical() == before
    assert state.frontier.sequences == {"eu": 4}
    assert not state.fold(commit(4, Strange(1)), "eu")


def test_the_frontier_may_rise_to_a_journals_end() -> None:
    near, far = new_state(), new_state()
    near.fold(commit(1, Raised("a")), "eu")
    far.fold(commit(1, Acknowledged("a", near.read("alerts", "a")[1])), "us")
    far.advance("eu", 9)
    assert far.frontier.sequences == {"eu": 9, "us": 1}
    assert far.ahead == 0
    far.advance("eu", 5)
    assert far.frontier.at("eu") == 9


def test_a_journal_that_the_view_does_not_fold_is_refused() -> None:
    with pytest.raises(Invalid, match="doesn't fold 'mars'"):
        new_state().fold(commit(1, Raised("a")), "mars")


def test_a_poisoned_event_names_its_place_and_leaves_the_state_as_it_was() -> None:
    state = new_state()
    state.fold(commit(1, Raised("a")), "eu")
    before, frontier = state.canonical(), state.frontier
    bad = commit(2, Raised("b"), Opened("aave", 5))
    msgspec.structs.force_setattr(bad.events[1], "body", msgspec.Raw(b'{"protocol":7,"usd":5}'))
    with pytest.raises(PoisonedEvent) as error:
        state.fold(bad, "eu")
    assert (error.value.stream, error.value.sequence, error.value.index) == ("eu", 2, 1)
    assert (error.value.type, error.value.view) == ("Opened", "exposure")
    assert "$.protocol" in str(error.value)
    assert "skip" in str(error.value)
    assert (state.canonical(), state.frontier) == (before, frontier)
    assert state.fold(commit(2, Raised("b")), "eu"), "it can be retried"


def test_a_skipped_commit_moves_the_frontier_only_and_belongs_to_the_identity() -> None:
    plain = new_state()
    skip = Dot(plain.journals.tags[1], 2)
    skipping = ViewState(plain.view, journals(), skipped=[skip])
    bad = commit(2, Opened("aave", 5))
    msgspec.structs.force_setattr(bad.events[0], "body", msgspec.Raw(b"[]"))
    assert skipping.fold(bad, "eu")
    assert skipping.value == plain.value
    assert skipping.identity != plain.identity


def test_sums_of_floats_do_not_depend_on_the_interleaving() -> None:
    view = View("floats", version=1, total=LexCounter)

    class Paid(msgspec.Struct, frozen=True):
        usd: float

    @view.on_event
    def paid(fields: Fields, event: Paid, at: At) -> None:
        fields.total.add(event.usd)

    amounts = [0.1, 1e16, -1e16, 0.7, 3.3, 1e-9]
    one, two = ViewState(view, journals()), ViewState(view, journals())
    for sequence, amount in enumerate(amounts, 1):
        for name in ("asia", "eu", "us"):
            one.fold(commit(sequence, Paid(amount)), name)
    for name in ("us", "asia", "eu"):
        for sequence, amount in enumerate(amounts, 1):
            two.fold(commit(sequence, Paid(amount)), name)
    assert one.digest == two.digest
    assert one.value == two.value


def test_decimals_and_large_integers_are_exact_through_a_delta() -> None:
    view = View("exact", version=1, total=LexCounter, wei=LexCounter, peak=Max)

    class Paid(msgspec.Struct, frozen=True):
        usd: Decimal
        wei: int

    @view.on_event
    def paid(fields: Fields, event: Paid, at: At) -> None:
        fields.total.add(event.usd)
        fields.wei.add(event.wei * 10**18)
        fields.peak.put(event.usd)

    state, other = ViewState(view, journals()), ViewState(view, journals())
    state.fold(commit(1, Paid(Decimal("0.10"), 10), Paid(Decimal("0.20"), 90)), "eu")
    apply_delta(other, make_delta(state))
    expected = {"peak": Decimal("0.20"), "total": Decimal("0.30"), "wei": 100 * 10**18}
    assert other.value == state.value == expected
    assert other.canonical() == state.canonical()


@pytest.mark.parametrize("amount", [float("nan"), float("inf"), "5", None, True, 10**101])
def test_what_is_no_amount_poisons(amount: object) -> None:
    view = View("amounts", version=1, total=LexCounter)

    @view.on_event
    def raised(fields: Fields, event: Raised, at: At) -> None:
        fields.total.add(amount)

    with pytest.raises(PoisonedEvent) as error:
        ViewState(view, journals()).fold(commit(1, Raised("a")), "eu")
    assert isinstance(error.value.__cause__, InvalidMessage)


@pytest.mark.parametrize("key", [5, "k" * 1_025, "a\x1fb", "\ud800", None])
def test_what_is_no_key_poisons(key: object) -> None:
    view = View("keys", version=1, keys=AWSet, by=ORMap[LexCounter], all=GSet)

    @view.on_event
    def raised(fields: Fields, event: Raised, at: At) -> None:
        fields.keys.add(key)

    @view.on_event
    def rated(fields: Fields, event: Rated, at: At) -> None:
        fields.by[key].add(1)

    for event in (Raised("a"), Rated(1)):
        with pytest.raises(PoisonedEvent):
            ViewState(view, journals()).fold(commit(1, event), "eu")


@pytest.mark.parametrize("value", [float("nan"), {"x": [float("inf")]}, 2**70, object()])
def test_what_cannot_be_kept_poisons(value: object) -> None:
    view = View("values", version=1, risk=MVRegister)

    @view.on_event
    def raised(fields: Fields, event: Raised, at: At) -> None:
        fields.risk.set(value)

    with pytest.raises(PoisonedEvent) as error:
        ViewState(view, journals()).fold(commit(1, Raised("a")), "eu")
    assert isinstance(error.value.__cause__, InvalidMessage)


def test_reads_of_unknown_fields_and_keys_say_what_there_is() -> None:
    state = new_state()
    with pytest.raises(InvalidView, match="it has alerts, by_protocol"):
        state.read("nothing")
    with pytest.raises(Invalid, match="read one key"):
        state.read("by_protocol")
    with pytest.raises(Invalid, match="without a key"):
        state.read("risk", "x")
    with pytest.raises(Invalid, match="no BoundedCounter"):
        state.available("risk", "eu")
    assert state.read("alerts", "x")[0] is False
    assert state.read("by_protocol", "x")[0] == 0


def test_a_view_that_is_kept_and_written_to_later_says_so() -> None:
    kept = Kept()
    view = View("kept", version=1, total=LexCounter)

    @view.on_event
    def raised(fields: Fields, event: Raised, at: At) -> None:
        kept.keep(fields)

    ViewState(view, journals()).fold(commit(1, Raised("a")), "eu")
    with pytest.raises(ImpureFold, match="outside its handlers"):
        kept.things[0].total.add(1)
