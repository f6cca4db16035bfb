"""The fold of an agent's commits: contiguous, chained, bounded, equal for equal commits."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonlet.core.codec import Codec, Encoding
from moonlet.core.commit import Command, Commit, Effect, Event, place
from moonlet.core.digest import GENESIS, record_digest
from moonlet.core.errors import Corrupt
from moonlet.core.fold import (
    IDS,
    MAX_EFFECTS,
    Fold,
    Seen,
    Where,
    body_digest,
    call_id,
    effect_number,
    message_digest,
    plain_body,
)
from moonlet.core.hlc import Timestamp
from moonlet.core.memory import id_key
from moonlet.core.schema import encode_plain

AGENT = "account/alice"
ENCODINGS: tuple[Encoding, ...] = ("json", "msgpack")


class History:
    """Commits of one agent, each chained to the one before as a journal would hold them."""

    def __init__(self) -> None:
        self.commits: list[Commit[Any]] = []

    def add(self, command: Command[Any] | None = None, **fields: Any) -> Commit[Any]:
        """The next commit, with `fields` set otherwise than usual."""
        revision = len(self.commits) + 1
        usual: dict[str, Any] = {
            "agent": AGENT,
            "revision": revision,
            "outcome": "accepted",
            "command": command or Command(f"c{revision}", "Deposit", {"amount": revision}),
            "time": Timestamp(1_000 + revision),
            "previous_digest": self.commits[-1].digest if self.commits else GENESIS,
        }
        commit: Commit[Any] = Commit(**{**usual, **fields})
        stored = Codec[Commit[Any]](Commit[Any], "json").encode(commit)
        self.commits.append(place(commit, 10 * revision, record_digest(stored)))
        return commit


def folded(commits: list[Commit[Any]]) -> Fold[int]:
    """The fold of `commits`, its state the number of accepted ones."""
    fold = Fold(0)
    for commit in commits:
        fold.advance(commit, fold.state + (commit.outcome == "accepted"))
    return fold


def contents(fold: Fold[Any]) -> dict[str, Any]:
    """All a fold holds, comparable."""
    fields = {name: getattr(fold, name) for name in fold.__slots__}
    # The order of ids and windows matters too: it says what is forgotten first.
    past = fold.past.fresh, len(fold.past.runs), fold.past.any
    rest = {"windows": fold.windows.dump(), "ids": list(fold.ids.items()), "past": past}
    return {**fields, **rest}


def test_a_fold_begins_before_the_first_revision() -> None:
    fold = Fold("initial")
    assert (fold.state, fold.revision, fold.sequence, fold.digest) == ("initial", 0, 0, GENESIS)
    assert (fold.time, fold.dispatched, len(fold.windows)) == (Timestamp(0), 0, 0)


def test_each_commit_moves_revision_sequence_digest_and_time_on() -> None:
    history = History()
    for outcome in ("accepted", "rejected", "expired", "parked"):
        commit = history.add(outcome=outcome)
        fold = folded(history.commits)
        assert fold.revision == commit.revision == len(history.commits)
        assert (fold.sequence, fold.digest) == (commit.sequence, commit.digest)
        assert fold.time == commit.time
    assert fold.state == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"revision": 2},
        {"revision": 4},
        {"revision": 1},
        {"revision": 0},
        {"previous_digest": GENESIS},
        {"previous_digest": "0" * 32},
    ],
)
def test_a_commit_that_is_not_the_next_is_corrupt_and_changes_nothing(
    fields: dict[str, Any],
) -> None:
    history = History()
    history.add()
    history.add()
    fold = folded(history.commits)
    before = contents(fold)
    wrong = history.add(
        Command("new", "N", {}, sender="s", number=9),
        effects=(Effect("cancel", "t"),),
        **fields,
    )
    with pytest.raises(Corrupt, match=r"account/alice.*`moonlet verify`") as refused:
        fold.advance(wrong, 99)
    assert refused.value.sequence == wrong.sequence
    assert contents(fold) == before


def test_a_first_commit_that_has_a_digest_before_it_is_corrupt() -> None:
    history = History()
    with pytest.raises(Corrupt, match="after nothing"):
        Fold(0).advance(history.add(previous_digest="0" * 32), 1)


def test_a_changed_commit_breaks_the_chain_at_the_next() -> None:
    history = History()
    history.add()
    forged = msgspec.structs.replace(history.commits[0], reason="forged")
    place(forged, 10, record_digest(Codec[Commit[Any]](Commit[Any], "json").encode(forged)))
    history.add()
    with pytest.raises(Corrupt):
        folded([forged, history.commits[1]])


def schedule(name: str) -> Effect[Any]:
    return Effect("schedule", name, message=Event("Tick", {}), due=5)


TICK = message_digest(Event("Tick", {}))
PERFORM: Effect[Any] = Effect("perform", message=Event("Fetch", {}))


def test_a_timer_is_open_from_its_schedule_to_its_firing() -> None:
    history = History()
    history.add(effects=(Effect("cancel", "none"), schedule("a"), schedule("b")))
    assert folded(history.commits).timers == {
        "a": Where(1, 10, 1, TICK),
        "b": Where(1, 10, 2, TICK),
    }
    history.add(Command("f", "Tick", {}, timer="a", number=1))
    assert folded(history.commits).timers == {"b": Where(1, 10, 2, TICK)}


def test_a_timer_scheduled_again_is_replaced_and_its_old_firing_closes_nothing() -> None:
    history = History()
    history.add(effects=(schedule("a"),))
    history.add(effects=(schedule("a"),))
    assert folded(history.commits).timers == {"a": Where(2, 20, 0, TICK)}
    history.add(Command("f", "Tick", {}, timer="a", number=1))
    assert folded(history.commits).timers == {"a": Where(2, 20, 0, TICK)}


def test_a_firing_may_schedule_its_own_timer_again() -> None:
    history = History()
    history.add(effects=(schedule("a"),))
    history.add(Command("f", "Tick", {}, timer="a", number=1), effects=(schedule("a"),))
    assert folded(history.commits).timers == {"a": Where(2, 20, 0, TICK)}


def test_a_cancelled_timer_is_closed_and_cancelling_nothing_is_no_error() -> None:
    history = History()
    history.add(effects=(schedule("a"), Effect("cancel", "a"), Effect("cancel", "b")))
    assert folded(history.commits).timers == {}
    history.add(effects=(schedule("a"),))
    history.add(effects=(Effect("cancel", "a"), schedule("a")))
    assert folded(history.commits).timers == {"a": Where(3, 30, 1, TICK)}


def test_a_call_is_open_until_its_result_is_committed() -> None:
    history = History()
    history.add(effects=(PERFORM, Effect("cancel", "x"), PERFORM))
    first, second = call_id(AGENT, 1, 0), call_id(AGENT, 1, 2)
    assert (first, second) == ("account/alice:1.0", "account/alice:1.2")
    assert folded(history.commits).calls == {first: Where(1, 10, 0), second: Where(1, 10, 2)}
    history.add(Command("r", "Fetched", {}, call=first, sender="x", number=7), outcome="parked")
    fold = folded(history.commits)
    assert list(fold.calls) == [second]
    history.add(Command("r", "Fetched", {}, call=first))
    fold = folded(history.commits)
    assert list(fold.calls) == [second], "a second result of one call closes nothing"
    assert fold.ids == {} or list(fold.ids) == ["c1"], "timers and calls take no place among ids"
    assert len(fold.windows) == 0


def test_commands_with_a_number_are_known_by_it_and_those_without_by_id() -> None:
    history = History()
    history.add(Command("n", "N", {}, sender="s", number=3, lane="low"), outcome="rejected")
    history.add(Command("id-1", "N", {"a": 1}), outcome="expired")
    history.add(Command("id-2", "N", {}, sender="s"), outcome="parked")
    fold = folded(history.commits)
    assert fold.windows.has("s", "low", 3) and not fold.windows.has("s", "low", 4)
    assert fold.ids == {
        "id-1": Seen(20, body_digest("N", {"a": 1})),
        "id-2": Seen(30, body_digest("N", {})),
    }


def test_a_number_without_a_sender_does_not_hide_the_next_nameless_command() -> None:
    history = History()
    history.add(Command("x", "N", {}, number=7))
    fold = folded(history.commits)
    assert not fold.windows.has("", "medium", 7)
    assert list(fold.ids) == ["x"]


def test_an_id_keeps_the_outcome_it_had_first() -> None:
    history = History()
    history.add(Command("x", "N", {"a": 1}))
    history.add(Command("x", "N", {"a": 2}), outcome="rejected")
    assert folded(history.commits).ids == {"x": Seen(10, body_digest("N", {"a": 1}))}


def test_the_last_4096_ids_are_in_memory_and_those_before_in_the_past() -> None:
    fold = Fold(0)
    digest = ""
    for revision in range(1, IDS + 11):
        commit: Commit[Any] = Commit(
            AGENT, revision, "accepted", Command(f"c{revision}", "N", {}), Timestamp(revision),
            previous_digest=digest,
        )  # fmt: skip
        digest = f"{revision:x}"
        fold.advance(place(commit, revision, digest), 0)
    assert list(fold.ids) == [f"c{n}" for n in range(11, IDS + 11)]
    for n in range(1, 11):
        known, fact = fold.past.find(id_key(f"c{n}"))
        assert known and fact is not None and fact[0] == n, "where its commit stands"
    assert fold.past.find(id_key("c0")) == (True, None)


def test_dispatched_is_the_highest_that_any_commit_carries() -> None:
    history = History()
    for dispatched in (0, 1, 0, 3, 2):
        history.add(dispatched=dispatched)
    assert folded(history.commits).dispatched == 3


COMMANDS = st.builds(
    Command[Any],
    id=st.sampled_from(["a", "b", "c"]),
    name=st.just("N"),
    body=st.dictionaries(st.sampled_from("xyz"), st.integers(0, 3)),
    lane=st.sampled_from(["low", "high"]),
    sender=st.sampled_from(["", "s", "agent/x"]),
    number=st.integers(0, 4),
    timer=st.sampled_from(["", "", "", "t"]),
    call=st.sampled_from(["", "", "", f"{AGENT}:1.0"]),
)
EFFECTS = st.lists(
    st.sampled_from([schedule("t"), schedule("u"), Effect("cancel", "t"), PERFORM]), max_size=3
)
HISTORIES = st.lists(
    st.tuples(COMMANDS, EFFECTS.map(tuple), st.sampled_from(["accepted", "parked"])), max_size=12
)


@pytest.mark.parametrize("encoding", ENCODINGS)
@given(steps=HISTORIES)
def test_equal_commits_give_equal_folds_live_or_read_back(
    encoding: Encoding, steps: list[tuple[Command[Any], tuple[Effect[Any], ...], Any]]
) -> None:
    history = History()
    for command, effects, outcome in steps:
        history.add(command, effects=effects, outcome=outcome)
    live = contents(folded(history.commits))
    for kind in (Any, msgspec.Raw):
        writer = Codec[Commit[Any]](Commit[Any], encoding)
        reader: Codec[Commit[Any]] = Codec(Commit[kind], encoding)  # type: ignore[valid-type]
        read = [
            place(reader.decode(writer.encode(commit)), commit.sequence, commit.digest)
            for commit in history.commits
        ]
        assert contents(folded(read)) == live


def test_effect_numbers_of_a_later_epoch_are_larger_than_all_before() -> None:
    """Else what an agent sends after its journal's loss was accepted would pass for duplicates."""
    assert effect_number(1, 0, epoch=1) > effect_number(2**29, MAX_EFFECTS - 1)
    assert effect_number(2**29, 0, epoch=8_000) < 2**53  # any reader of JSON can hold it


def test_effect_numbers_grow_with_revision_and_index() -> None:
    numbers = [effect_number(r, i) for r in (1, 2, 3) for i in (0, 1, MAX_EFFECTS - 1)]
    assert numbers == sorted(set(numbers))
    assert numbers[0] > 0, "0 is no number"


@given(st.dictionaries(st.text("abc"), st.integers() | st.text("ab")), st.randoms())
def test_a_body_digest_does_not_depend_on_the_order_of_keys(body: dict[str, Any], rng: Any) -> None:
    items = list(body.items())
    rng.shuffle(items)
    assert body_digest("N", body) == body_digest("N", dict(items))
    assert body_digest("N", body) != body_digest("M", body)
    assert body_digest("N", body) != body_digest("N", {**body, "new": 0})


@pytest.mark.parametrize(
    "body",
    [{"a": 10**30}, {1: 2, 3: 4}, {1: 1, "a": 2}, {b"a": 1}, [b"x"], {1.5: [None]}, {"a": {}}],
)
def test_any_body_that_was_stored_has_a_digest(body: Any) -> None:
    assert body_digest("N", body) == body_digest("N", body) != body_digest("N", None)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_raw_body_is_read_in_either_encoding(encoding: Encoding) -> None:
    for body in ({"a": [1, "x", None]}, {}, [], [{"a": 1}], "text", None):
        assert plain_body(msgspec.Raw(encode_plain(body, encoding))) == body
        assert plain_body(body) == body


@pytest.mark.parametrize(
    "garbage",
    [b"", b'{"a":"\xff"}', b"\xff\xff", b'{"a":1e999}', b"[" * 100_000, b"\x91" * 100_000],
)
def test_a_body_that_nobody_can_read_is_recorded_as_null_and_digested_so(garbage: bytes) -> None:
    assert plain_body(msgspec.Raw(garbage)) is None
