"""`given(…).events(…).when(…).then(…)`: passes what is right, and fails what is not."""

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pydantic
import pytest

from moonlet.agents import (
    AgentType,
    Cancel,
    Context,
    Decision,
    Perform,
    Publish,
    Rejected,
    Reply,
    Schedule,
    Send,
    schema,
)
from moonlet.core.errors import InvalidAgentType, InvalidId, InvalidMessage, UnknownCommand
from moonlet.testing import given


class Account(msgspec.Struct, frozen=True):
    balance: int = 0
    seen: tuple[Any, ...] = ()


class Deposit(msgspec.Struct, frozen=True):
    amount: int


class Deposited(msgspec.Struct, frozen=True):
    amount: int


class Noted(msgspec.Struct, frozen=True):
    what: Any


class Run(msgspec.Struct, frozen=True):
    what: str


class Fetch(msgspec.Struct, frozen=True):
    url: str = ""


account = AgentType("account", Account)


@account.on_command
def deposit(state: Account, command: Deposit) -> Decision:
    if command.amount <= 0:
        raise Rejected("amount must be positive")
    yield Deposited(command.amount)
    yield Reply(state.balance + command.amount)


@account.on_event
def deposited(state: Account, event: Deposited) -> Account:
    return msgspec.structs.replace(state, balance=state.balance + event.amount)


@account.on_event
def noted(state: Account, event: Noted) -> Account:
    return msgspec.structs.replace(state, seen=(*state.seen, event.what))


EFFECTS: list[Any] = [
    Send("aegis/main", Deposit(1), "high"),
    Publish("prices.usdc", {"price": 0.878}),
    Schedule(Run("later"), after=60, name="alarm"),
    Cancel("old"),
    Perform(Fetch("x")),
]


@account.on_command
def run(state: Account, command: Run, context: Context) -> Iterator[Any]:
    match command.what:
        case "effects":
            yield from EFFECTS
        case "context":
            yield Noted(
                [context.self_id, context.sender, context.revision, context.now.isoformat()]
            )
        case "raise":
            yield Deposited(1)
            raise ZeroDivisionError("oops")
        case "nan":
            yield Noted(math.nan)


def fails(match: str) -> Any:
    """Expect an assertion of `then` to fail with this text."""
    return pytest.raises(AssertionError, match=match)


def test_the_example_of_the_documentation_holds() -> None:
    (
        given(account)
        .events(Deposited(5))
        .when(Deposit(10))
        .then(events=[Deposited(10)], reply=15, state=Account(15), effects=[])
    )
    given(account).when(Deposit(0)).then(rejected="amount must be positive", events=[], reply=None)


def test_each_wrong_expectation_fails() -> None:
    outcome = given(account).events(Deposited(5)).when(Deposit(10))
    for wrong, match in (
        ({"events": []}, "events"),
        ({"events": [Deposited(11)]}, "events"),
        ({"events": [Deposited(10), Deposited(10)]}, "events"),
        ({"events": [Deposit(10)]}, "events"),
        ({"reply": 16}, "reply 15 != 16"),
        ({"reply": None}, "reply 15 != None"),
        ({"rejected": "amount must be positive"}, "expected rejected, got accepted"),
        ({"effects": [Cancel("old")]}, "effects"),
        ({"state": Account(10)}, "state"),
    ):
        with fails(match):
            outcome.then(**wrong)
    with fails("expected accepted, got rejected: amount must be positive"):
        given(account).when(Deposit(0)).then()
    with fails("'amount must be positive' != 'no'"):
        given(account).when(Deposit(0)).then(rejected="no")


class Told(pydantic.BaseModel):
    what: str


@account.on_command
def ask(state: Account, command: Fetch) -> Decision:
    replies = {"model": Told(what="x"), "struct": Deposit(1), "list": (1, None), "none": None}
    yield Reply(replies[command.url])


def test_a_reply_is_compared_as_the_one_who_asked_will_see_it() -> None:
    for url, reply in (
        ("model", Told(what="x")),
        ("model", {"what": "x"}),
        ("struct", Deposit(1)),
        ("list", [1, None]),
        ("none", None),
    ):
        given(account).when(Fetch(url)).then(reply=reply)


def test_effects_are_compared_whole_and_in_order() -> None:
    outcome = given(account).when(Run("effects")).then(effects=EFFECTS, events=[], reply=None)
    outcome.then(effects=[*EFFECTS[:2], Schedule(Run("later"), at=_in(60), name="alarm"),
                          *EFFECTS[3:]])  # fmt: skip
    for index, wrong in (
        (0, Send("aegis/main", Deposit(1), "low")),
        (0, Send("aegis/other", Deposit(1), "high")),
        (0, Send("aegis/main", Deposit(2), "high")),
        (0, Send("aegis/main", Deposited(1), "high")),
        (1, Publish("prices.dai", {"price": 0.878})),
        (1, Publish("prices.usdc", {"price": 0.879})),
        (2, Schedule(Run("later"), after=61, name="alarm")),
        (2, Schedule(Run("later"), after=60, name="other")),
        (2, Schedule(Run("sooner"), after=60, name="alarm")),
        (3, Cancel("other")),
        (4, Perform(Fetch("y"))),
        (4, Cancel("old")),
    ):
        with fails("effects"):
            outcome.then(effects=[*EFFECTS[:index], wrong, *EFFECTS[index + 1 :]])
    for other in ([], EFFECTS[:-1], EFFECTS[::-1], [*EFFECTS, Cancel("old")]):
        with fails("effects"):
            outcome.then(effects=other)


def _in(seconds: int) -> datetime:
    return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)


def test_an_expectation_that_is_no_effect_is_the_tests_own_mistake() -> None:
    outcome = given(account).when(Run("effects"))
    for wrong in (Deposited(1), Reply(1), Send("alice", Deposit(1)), 7):
        with fails("is no effect that could be expected"):
            outcome.then(effects=[wrong])


def test_the_version_of_a_message_is_part_of_an_effect() -> None:
    @schema("Deposit", version=2)
    class Newer(msgspec.Struct, frozen=True):
        amount: int

    outcome = given(account).when(Run("effects"))
    with fails("effects"):
        outcome.then(effects=[Send("aegis/main", Newer(1), "high"), *EFFECTS[1:]])


def test_a_handler_that_raises_shows_its_stack() -> None:
    with fails(r"(?s)got parked: ZeroDivisionError: oops.*in run"):
        given(account).when(Run("raise")).then()


def test_every_message_goes_through_its_codec() -> None:
    given(account).events(Noted([1, [2]])).when(Run("")).then(state=Account(0, ([1, [2]],)))
    with pytest.raises(InvalidMessage, match="and would come back as"):
        given(account).events(Noted((1, (2,))))
    with fails("InvalidMessage.*what is nan"):
        given(account).when(Run("nan")).then()
    with pytest.raises(InvalidMessage) as refused:
        given(account).events(Noted(math.inf))
    assert refused.value.path == "$.what"
    with pytest.raises(InvalidMessage) as refused:
        given(account).when(Deposit("five"))  # type: ignore[arg-type]
    assert refused.value.path == "$.amount"


def test_the_context_is_the_one_that_was_asked_for() -> None:
    now = datetime(2023, 3, 11, tzinfo=UTC)
    given(account).events(Deposited(1), Deposited(2)).when(
        Run("context"), agent="account/alice", sender="oracle/main", now=now
    ).then(events=[Noted(["account/alice", "oracle/main", 2, now.isoformat()])])
    given(account).when(Run("context")).then(
        events=[Noted(["account/test", "tester", 0, "2026-01-01T00:00:00+00:00"])]
    )
    with pytest.raises(InvalidId):
        given(account).when(Run("context"), agent="alice")


def test_a_base_may_be_shared_by_tests() -> None:
    base = given(account).events(Deposited(5))
    base.events(Deposited(1)).when(Deposit(1)).then(reply=7)
    base.when(Deposit(1)).then(reply=6)
    base.state(Account(100)).when(Deposit(1)).then(reply=101)
    base.when(Deposit(1)).then(reply=6)


def test_what_the_type_does_not_handle_is_named() -> None:
    with pytest.raises(UnknownCommand, match="account has no command 'Deposited'"):
        given(account).when(Deposited(1))
    with fails("account has no on_event for Deposit"):
        given(account).events(Deposit(1))


def test_a_type_that_is_declared_wrong_is_refused_at_once() -> None:
    wrong = AgentType("wrong", Account)

    @wrong.on_command
    def handler(state: Account, command: Deposit) -> list[Deposited]:
        return [Deposited(1)]

    with pytest.raises(InvalidAgentType, match="may yield Deposited"):
        given(wrong)


def test_a_handler_that_decides_otherwise_the_second_time_is_found_out() -> None:
    fickle = AgentType("fickle", Account)
    fickle.on_event(noted)
    calls = iter(range(100))

    @fickle.on_command
    def handler(state: Account, command: Run) -> Decision:
        yield Noted(next(calls))

    with fails("not pure"):
        given(fickle).when(Run("")).then()


def test_of_a_handler_that_raises_nothing_is_seen_but_its_traceback() -> None:
    parked = given(account).when(Run("raise"))
    assert parked.outcome == "parked" and parked.reason == "ZeroDivisionError: oops"
    where = rf"(?s)parked: ZeroDivisionError: oops.*{__file__}\", line \d+, in run"
    for look in ("events", "effects", "state", "reply"):
        with fails(where):
            getattr(parked, look)
    refused = given(account).when(Deposit(0))
    assert (refused.outcome, refused.reason) == ("rejected", "amount must be positive")
    assert (refused.events, refused.effects, refused.reply) == ([], [], None)


def test_a_handler_that_raises_only_the_second_time_shows_its_traceback() -> None:
    fickle = AgentType("fickle", Account)
    calls = iter(range(1))

    @fickle.on_command
    def second(state: Account, command: Run) -> Decision:
        yield Reply(next(calls))

    with fails(rf"(?s)not pure.*{__file__}\", line \d+, in second"):
        given(fickle).when(Run(""))


def test_effects_are_given_as_they_were_yielded() -> None:
    assert given(account).when(Run("effects")).effects == EFFECTS
