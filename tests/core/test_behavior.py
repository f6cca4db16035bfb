"""Deciding: what a handler yields becomes a decision, and nothing it does gets out of `decide`."""

import dataclasses
import math
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pydantic
import pytest

from moonlet.core.behavior import Behavior, Decision, Handler
from moonlet.core.codec import Codec, Encoding
from moonlet.core.commit import Event
from moonlet.core.effects import Cancel, Perform, Publish, Reply, Schedule, Send
from moonlet.core.errors import (
    MAX_REASON,
    MAX_STACK,
    Conflict,
    InvalidMessage,
    Rejected,
    UnknownCommand,
)
from moonlet.core.fold import MAX_EFFECTS
from moonlet.core.schema import MessageType, decode_plain, encode_plain, schema

ENCODINGS: tuple[Encoding, ...] = ("json", "msgpack")
BOTH = pytest.mark.parametrize("encoding", ENCODINGS)
NOW = 1_678_500_000_000_000


class Deposit(msgspec.Struct, frozen=True):
    amount: int


class Deposited(msgspec.Struct, frozen=True):
    amount: Any


@dataclasses.dataclass(frozen=True)
class Audited:
    by: str


class Flagged(pydantic.BaseModel):
    why: str = ""


class Broken(msgspec.Struct, frozen=True):
    pass


class Forgetful(msgspec.Struct, frozen=True):
    pass


class Unhandled(msgspec.Struct, frozen=True):
    amount: int = 0


class Context:
    now_us = NOW


State = tuple[Any, ...]


def remember(state: State, event: Any) -> State:
    return (*state, event)


def explode(state: State, event: Any) -> State:
    raise ZeroDivisionError("in the event handler")


def forget(state: State, event: Any) -> None:
    """Forgets to return the state."""


def behavior() -> Behavior[State]:
    made: Behavior[State] = Behavior(tuple)
    for cls, function in (
        (Deposited, remember),
        (Audited, remember),
        (Flagged, remember),
        (Broken, explode),
        (Forgetful, forget),
    ):
        made.add_event(Handler(MessageType[Any](cls), function))
    return made


def decide(
    function: Callable[..., Any], encoding: Encoding = "json", *, wants_context: bool = False
) -> Decision[State]:
    """What comes of `Deposit(5)` on the state `("before",)`."""
    handler = Handler(MessageType[Any](Deposit), function, wants_context)
    return behavior().decide(("before",), handler, Deposit(5), Context(), encoding)


def yielding(*items: Any) -> Callable[..., Iterator[Any]]:
    """A generator handler that yields `items`."""

    def handler(state: State, command: Deposit) -> Iterator[Any]:
        yield from items

    return handler


def plain(raw: Any, encoding: Encoding = "json") -> Any:
    return decode_plain(bytes(raw), encoding)


def assert_parked(decision: Decision[State], reason: str) -> None:
    """Parked for `reason`, with nothing kept of what was yielded."""
    assert decision.outcome == "parked"
    assert reason in decision.reason, decision.reason
    assert (decision.state, decision.events, decision.effects) == (("before",), (), ())
    assert decision.reply is None
    assert len(decision.reason) <= MAX_REASON and len(decision.stack) <= MAX_STACK
    Codec[Any](Any, "json").encode([decision.reason, decision.error, decision.stack])


@BOTH
def test_a_generator_a_list_and_none_are_decisions(encoding: Encoding) -> None:
    event = Deposited(5)
    functions: list[Callable[..., Any]] = [
        yielding(event, Reply(9)),
        lambda state, command: [event, Reply(9)],
        lambda state, command: (event, Reply(9)),
        lambda state, command: iter([event, Reply(9)]),
    ]
    for function in functions:
        decision = decide(function, encoding)
        assert decision.outcome == "accepted"
        assert [(e.name, e.version, plain(e.body, encoding)) for e in decision.events] == [
            ("Deposited", 1, {"amount": 5})
        ]
        assert decision.state == ("before", event)
        assert plain(decision.reply, encoding) == 9
    for function in (yielding(), lambda *_: None, lambda *_: []):
        decision = decide(function, encoding)
        assert decision == Decision("accepted", ("before",)), "no events is an accepted commit"


def test_handlers_get_state_command_and_the_context_if_they_want_it() -> None:
    got: list[Any] = []
    decide(lambda *arguments: got.append(arguments))
    decide(lambda *arguments: got.append(arguments), wants_context=True)
    assert got[0] == (("before",), Deposit(5))
    assert got[1][:2] == got[0] and isinstance(got[1][2], Context)


@BOTH
def test_events_of_every_kind_evolve_the_state_in_order_as_a_reader_will_see_them(
    encoding: Encoding,
) -> None:
    decision = decide(yielding(Deposited([1, 2]), Audited("x"), Flagged(why="y")), encoding)
    assert decision.state == ("before", Deposited([1, 2]), Audited("x"), Flagged(why="y"))
    replayed: State = ("before",)
    for event in decision.events:
        replayed = behavior().evolve_stored(replayed, event, encoding)
    assert replayed == decision.state
    of_plain: State = ("before",)
    for event in decision.events:
        stored = Event(event.name, plain(event.body, encoding), event.version)
        of_plain = behavior().evolve_stored(of_plain, stored, encoding)
    assert of_plain == decision.state


def test_an_event_of_no_handler_in_the_journal_says_what_is_missing() -> None:
    with pytest.raises(UnknownCommand, match="no on_event handles 'Renamed'"):
        behavior().evolve_stored((), Event("Renamed", {}), "json")
    with pytest.raises(InvalidMessage) as misfit:
        behavior().evolve_stored((), Event("Audited", {"by": 7}), "json")
    assert misfit.value.path == "$.by"


def test_a_rejection_discards_all_that_was_yielded_before() -> None:
    def handler(state: State, command: Deposit) -> Iterator[Any]:
        yield Deposited(5)
        yield Reply(1)
        yield Cancel("t")
        raise Rejected("not today")

    assert decide(handler) == Decision("rejected", ("before",), reason="not today")


def test_a_function_that_is_no_generator_may_reject_too() -> None:
    def handler(state: State, command: Deposit) -> None:
        raise Rejected("no")

    assert decide(handler) == Decision("rejected", ("before",), reason="no")


@pytest.mark.parametrize("reason", [42, None, "\ud800", "x" * 100_000, ["a"], "🌙" * 5_000])
def test_any_reason_of_a_rejection_can_be_recorded(reason: Any) -> None:
    def handler(state: State, command: Deposit) -> None:
        raise Rejected(reason)

    decision = decide(handler)
    assert decision.outcome == "rejected"
    assert isinstance(decision.reason, str) and 0 < len(decision.reason) <= MAX_REASON
    for encoding in ENCODINGS:
        Codec[Any](Any, encoding).encode(decision.reason)


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("has no words")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError("bad \ud800 text"), "ValueError: bad"),
        (KeyError("x"), "KeyError: 'x'"),
        (Exception(), "Exception"),
        (Mute(), "Mute"),
        (RecursionError(), "RecursionError"),
        (StopIteration(5), "RuntimeError: generator raised StopIteration"),
        (Exception("x" * 100_000), "Exception: xxx"),
        (AssertionError("ours"), "AssertionError: ours"),
        (ExceptionGroup("many", [ValueError("one")]), "ExceptionGroup: many"),
    ],
)
def test_a_handler_that_raises_parks_the_command_with_its_cause(
    error: Exception, reason: str
) -> None:
    def handler(state: State, command: Deposit) -> Iterator[Any]:
        yield Deposited(5)
        yield Cancel("t")
        raise error

    decision = decide(handler)
    assert_parked(decision, reason)
    assert "handler" in decision.stack
    assert decision.error == "", "the class is named only if the error is Moonlet's own"


def test_an_error_of_moonlet_in_a_handler_keeps_its_class_name() -> None:
    def handler(state: State, command: Deposit) -> Iterator[Any]:
        yield Deposited(5)
        raise Conflict("again")

    decision = decide(handler)
    assert_parked(decision, "Conflict: again")
    assert decision.error == "Conflict"


def test_an_event_handler_that_raises_parks_the_command() -> None:
    assert_parked(decide(yielding(Deposited(1), Broken())), "ZeroDivisionError: in the event")


def test_an_event_handler_that_forgets_to_return_the_state_parks_the_command() -> None:
    assert_parked(decide(yielding(Deposited(1), Forgetful())), "forget returned None")
    with pytest.raises(TypeError, match="forget returned None"):
        behavior().evolve((), Forgetful())
    with pytest.raises(TypeError, match="forget returned None"):
        behavior().evolve_stored((), Event("Forgetful", {}), "json")


def test_a_state_may_be_none_from_the_start() -> None:
    nothing: Behavior[None] = Behavior(lambda: None)
    nothing.add_event(Handler(MessageType[Any](Forgetful), forget))
    handler = Handler(MessageType[Any](Deposit), yielding(Forgetful()))
    decision = nothing.decide(None, handler, Deposit(5), Context(), "json")
    assert (decision.outcome, len(decision.events)) == ("accepted", 1)


@pytest.mark.parametrize(
    "item", [Unhandled(), 7, "text", None, Deposited, {"amount": 5}, Deposit(5), Rejected("no")]
)
def test_a_yield_that_is_neither_event_nor_effect_parks_with_nothing_kept(item: Any) -> None:
    decision = decide(yielding(Deposited(5), Cancel("t"), Reply(1), item))
    assert_parked(decision, "neither an effect nor an event with an on_event handler")


def test_events_are_known_by_class_not_by_name() -> None:
    @schema("Deposited")
    class Namesake(msgspec.Struct):
        amount: int = 0

    assert_parked(decide(yielding(Namesake())), "neither an effect nor an event")


@pytest.mark.parametrize(
    "returned",
    [
        7,
        "text",
        b"bytes",
        {"amount": 5},
        Deposited(5),
        Audited("x"),
        Flagged(),
        Flagged(why="one event, not a list of them"),
        Reply(5),
        {Audited("x"), Audited("y")},
        frozenset({Audited("x")}),
    ],
)
def test_what_is_no_sequence_of_events_is_refused_as_a_whole(returned: Any) -> None:
    # A set has no order that a replay could repeat; a pydantic model would iterate its fields.
    assert_parked(decide(lambda state, command: returned), "<lambda> returned")


def test_two_replies_park_the_command() -> None:
    assert_parked(decide(yielding(Deposited(5), Reply(1), Reply(1))), "a second Reply")
    assert_parked(decide(yielding(Reply(None), Reply(None))), "a second Reply")


@BOTH
def test_a_message_that_could_not_be_read_back_parks_the_command(encoding: Encoding) -> None:
    for item in (
        Deposited(math.nan),
        Deposited(object()),
        Audited(7),  # type: ignore[arg-type]
        Reply(math.inf),
        Reply(object()),
        Send("a/b", Audited(7)),  # type: ignore[arg-type]
        Publish("prices", {"usdc": math.nan}),
        Schedule(Deposit("x"), after=1, name="t"),  # type: ignore[arg-type]
        Perform(Deposited(math.nan)),
    ):
        assert_parked(decide(yielding(Audited("x"), item), encoding), "InvalidMessage")


def test_1024_events_and_effects_are_kept_and_one_more_parks() -> None:
    full = decide(yielding(*[Deposited(1)] * MAX_EFFECTS, *[Cancel("t")] * MAX_EFFECTS, Reply(1)))
    assert (len(full.events), len(full.effects)) == (MAX_EFFECTS, MAX_EFFECTS)
    for item in (Deposited(1), Cancel("t")):
        over = decide(yielding(*[item] * (MAX_EFFECTS + 1)))
        assert_parked(over, "over 1024 events or effects")


def test_a_handler_that_never_ends_is_stopped_at_the_limit() -> None:
    taken = 0

    def handler(state: State, command: Deposit) -> Iterator[Any]:
        nonlocal taken
        while True:
            taken += 1
            yield Deposited(1)

    assert_parked(decide(handler), "over 1024")
    assert taken == MAX_EFFECTS + 1


AWARE = datetime(2023, 3, 11, tzinfo=UTC)
AWARE_US = int(AWARE.timestamp()) * 1_000_000


@BOTH
@pytest.mark.parametrize(
    ("effect", "record"),
    [
        (Send("a/b", Deposit(1)), ("send", "a/b", "medium", "Deposit", {"amount": 1}, 0)),
        (Send("a/b", Audited("x"), "low"), ("send", "a/b", "low", "Audited", {"by": "x"}, 0)),
        (Publish("p.q", Deposit(1)), ("publish", "p.q", "medium", "Deposit", {"amount": 1}, 0)),
        (Publish("p", [1, "x"]), ("publish", "p", "medium", "", [1, "x"], 0)),
        (Publish("p", None), ("publish", "p", "medium", "", None, 0)),
        (
            Schedule(Deposit(1), after=1.5, name="t"),
            ("schedule", "t", "medium", "Deposit", {"amount": 1}, NOW + 1_500_000),
        ),
        (
            Schedule(Deposit(1), after=timedelta(days=1), name="t"),
            ("schedule", "t", "medium", "Deposit", {"amount": 1}, NOW + 86_400_000_000),
        ),
        (
            Schedule(Deposit(1), after=0, name="t"),
            ("schedule", "t", "medium", "Deposit", {"amount": 1}, NOW),
        ),
        (
            Schedule(Flagged(why="x"), at=AWARE, name="t"),
            ("schedule", "t", "medium", "Flagged", {"why": "x"}, AWARE_US),
        ),
        (Cancel("t"), ("cancel", "t", "medium", None, None, 0)),
        (Perform(Deposit(1)), ("perform", "", "medium", "Deposit", {"amount": 1}, 0)),
    ],
)
def test_each_effect_is_recorded_whole(encoding: Encoding, effect: Any, record: Any) -> None:
    (effect_record,) = decide(yielding(effect), encoding).effects
    message = effect_record.message
    assert (
        effect_record.kind,
        effect_record.target,
        effect_record.lane,
        None if message is None else message.name,
        None if message is None else plain(message.body, encoding),
        effect_record.due,
    ) == record


def test_a_sent_message_carries_its_schema_name_and_version() -> None:
    @schema("price-tick", version=3)
    class Tick(msgspec.Struct):
        pass

    (effect,) = decide(yielding(Send("a/b", Tick()))).effects
    assert effect.message is not None
    assert (effect.message.name, effect.message.version) == ("price-tick", 3)


class LocalState(msgspec.Struct):
    pass


@pytest.mark.parametrize(
    ("effect", "reason"),
    [
        (Send("alice", Deposit(1)), "InvalidId: agent id"),
        (Send("account/*", Deposit(1)), "InvalidId: agent key"),
        (Send("a.b/c", Deposit(1)), "InvalidId: agent type"),
        (Send("account/a\r\nb", Deposit(1)), "InvalidId"),
        (Send(None, Deposit(1)), "InvalidId"),  # type: ignore[arg-type]
        (Send("a/b", Deposit(1), "urgent"), "InvalidId: lane"),  # type: ignore[arg-type]
        (Send("a/b", {"amount": 1}), "is no message"),
        (Send("a/b", Deposit), "is no message"),
        (Publish("", Deposit(1)), "InvalidId: topic"),
        (Publish("a..b", Deposit(1)), "InvalidId: topic"),
        (Publish("a.>", Deposit(1)), "InvalidId: topic"),
        (Publish("p", object()), "InvalidMessage"),
        (Schedule(Deposit(1), after=1, name=""), "InvalidId: timer"),
        (Schedule(Deposit(1), after=1, name="a.b"), "InvalidId: timer"),
        (Schedule(Deposit(1), name="t"), "either `after` or `at`"),
        (Schedule(Deposit(1), after=1, at=AWARE, name="t"), "either `after` or `at`"),
        (Schedule(Deposit(1), at=datetime(2023, 3, 11), name="t"), "has no time zone"),
        (Schedule(Deposit(1), after=-1, name="t"), "give 0 seconds to 100 years"),
        (Schedule(Deposit(1), after=math.nan, name="t"), "give 0 seconds to 100 years"),
        (Schedule(Deposit(1), after=math.inf, name="t"), "give 0 seconds to 100 years"),
        (Schedule(Deposit(1), after=timedelta(days=99_999), name="t"), "give 0 seconds"),
        (Schedule(Deposit(1), after="soon", name="t"), "ValueError"),  # type: ignore[arg-type]
        (Schedule("text", after=1, name="t"), "is no message"),
        (Cancel("*"), "InvalidId: timer"),
        (Perform({"url": "x"}), "is no message"),
    ],
)
def test_an_effect_that_could_not_be_done_parks_the_command(effect: Any, reason: str) -> None:
    assert_parked(decide(yielding(Deposited(5), Cancel("t"), effect)), reason)


def test_a_handler_whose_class_can_not_be_stored_parks_the_command() -> None:
    class Strange(msgspec.Struct):
        field: "Nowhere"  # type: ignore[name-defined]  # noqa: F821

    assert_parked(decide(yielding(Send("a/b", Strange(1)))), "Strange: a field can't be stored")


@BOTH
def test_deciding_twice_gives_equal_records(encoding: Encoding) -> None:
    def handler(state: State, command: Deposit) -> Iterator[Any]:
        yield Deposited({"b": 1, "a": [command.amount]})
        yield Send("a/b", Audited("x"))
        yield Reply({"z": 1, "y": 2})

    first, second = decide(handler, encoding), decide(handler, encoding)
    for of_first, of_second in (
        (first.events, second.events),
        (first.effects, second.effects),
        (first.reply, second.reply),
    ):
        encode = Codec[Any](Any, encoding).encode
        assert encode(of_first) == encode(of_second)
    assert plain(encode_plain({"z": 1, "y": 2}, "json")) == {"z": 1, "y": 2}
