"""Declaring an agent type: what is read from its handlers, and what is refused and when."""

import dataclasses
import functools
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pydantic
import pytest

from moonlet.agents import AgentType, Context, Decision, Reply, Send, schema, upcast
from moonlet.core.errors import InvalidAgentType, InvalidId, InvalidMessage, UnknownCommand


class Account(msgspec.Struct, frozen=True):
    balance: int = 0


class Deposit(msgspec.Struct, frozen=True):
    amount: int


@dataclasses.dataclass(frozen=True)
class Withdraw:
    amount: int


class Deposited(msgspec.Struct, frozen=True):
    amount: int


class Withdrawn(pydantic.BaseModel):
    amount: int


class GetBalance(msgspec.Struct, frozen=True):
    pass


class Fetch(msgspec.Struct, frozen=True):
    url: str


class Fetched(msgspec.Struct, frozen=True):
    body: str


def make() -> AgentType[Account]:
    return AgentType("account", Account)


def test_handlers_of_all_four_kinds_are_registered_by_schema_name() -> None:
    account = make()

    @account.on_command
    def deposit(state: Account, command: Deposit | Withdraw, context: Context) -> Decision:
        yield Deposited(command.amount)

    @account.on_event
    def moved(state: Account, event: Deposited | Withdrawn) -> Account:
        return Account(state.balance + event.amount)

    @account.on_query
    def get_balance(state: Account, query: GetBalance) -> int:
        return state.balance

    @account.on_perform
    async def fetch(call: Fetch, call_id: str) -> Fetched:
        return Fetched(call.url)

    @account.on_command
    def fetched(state: Account, command: Fetched) -> None: ...

    account.check()
    assert sorted(account.behavior.commands) == ["Deposit", "Fetched", "Withdraw"]
    assert sorted(account.behavior.events) == ["Deposited", "Withdrawn"]
    assert list(account.queries) == ["GetBalance"]
    assert list(account.performs) == ["Fetch"]
    assert account.behavior.commands["Deposit"].function is deposit, "the function stays itself"
    assert account.behavior.commands["Deposit"].wants_context
    assert not account.queries["GetBalance"].wants_context
    assert account.performs["Fetch"].wants_context, "call_id is what a perform handler wants"
    assert get_balance(Account(7), GetBalance()) == 7
    assert account.behavior.evolve(Account(1), Withdrawn(amount=2)) == Account(3)


def test_nothing_is_global_two_types_may_have_one_name_and_one_class() -> None:
    one, two = make(), make()

    @one.on_event
    def deposited(state: Account, event: Deposited) -> Account:
        return Account(state.balance + event.amount)

    @two.on_event
    def deposited_in_cents(state: Account, event: Deposited) -> Account:
        return Account(state.balance + 100 * event.amount)

    assert one.behavior.evolve(Account(), Deposited(5)) == Account(5)
    assert two.behavior.evolve(Account(), Deposited(5)) == Account(500)


def test_one_name_may_stand_for_a_command_an_event_and_a_query() -> None:
    account = make()

    @account.on_command
    def command(state: Account, command: Deposit) -> None: ...

    @account.on_event
    def event(state: Account, event: Deposit) -> Account:
        return state

    @account.on_query
    def query(state: Account, query: Deposit) -> None: ...

    account.check()


DECORATORS = pytest.mark.parametrize("decorator", ["on_command", "on_event", "on_query"])


@DECORATORS
def test_two_handlers_for_one_message_are_refused_naming_both(decorator: str) -> None:
    account = make()

    @getattr(account, decorator)  # type: ignore[untyped-decorator]
    def first(state: Account, message: Deposit) -> Account:
        return state

    with pytest.raises(InvalidAgentType) as refused:

        @getattr(account, decorator)  # type: ignore[untyped-decorator]
        def second(state: Account, message: Withdraw | Deposit) -> Account:
            return state

    text = str(refused.value)
    assert text.startswith(f"@account.{decorator} ") and "second" in text
    assert "Deposit is handled by" in text and "first" in text and "@schema" in text


def test_two_classes_of_one_schema_name_are_refused_too() -> None:
    @schema("Deposit")
    class Other(msgspec.Struct):
        pass

    account = make()
    account.on_command(_handler_of(Deposit))
    with pytest.raises(InvalidAgentType, match="Deposit is handled by"):
        account.on_command(_handler_of(Other))
    with pytest.raises(InvalidAgentType, match="Deposit is handled by"):
        make().on_command(_handler_of(Deposit | Other))


def _handler_of(message: Any) -> Any:
    def handler(state: Account, command: Any) -> None: ...

    handler.__annotations__["command"] = message
    return handler


def test_two_perform_handlers_for_one_call_are_refused() -> None:
    account = make()

    @account.on_perform
    async def first(call: Fetch) -> Fetched: ...  # type: ignore[empty-body]

    with pytest.raises(InvalidAgentType, match="Fetch is handled by"):

        @account.on_perform
        async def second(call: Fetch) -> Fetched: ...  # type: ignore[empty-body]


@DECORATORS
def test_an_async_handler_is_refused_with_the_way_out(decorator: str) -> None:
    async def coroutine(state: Account, message: Deposit) -> None: ...

    async def generator(state: Account, message: Deposit) -> AsyncIterator[Deposited]:
        yield Deposited(1)

    for function in (coroutine, generator, functools.partial(coroutine)):
        with pytest.raises(InvalidAgentType) as refused:
            getattr(make(), decorator)(function)
        assert "can't be `async def`" in str(refused.value)
        assert "Perform" in str(refused.value)


@DECORATORS
def test_missing_and_unresolvable_annotations_are_refused_at_the_decorator(decorator: str) -> None:
    def missing(state, command): ...  # type: ignore[no-untyped-def]
    def unresolvable(state: Account, command: "Nowhere") -> None: ...  # type: ignore[name-defined]  # noqa: F821
    def too_few(state: Account) -> None: ...
    def too_many(state: Account, command: Deposit, context: Context, more: int) -> None: ...

    for function in (missing, unresolvable, too_few, too_many):
        with pytest.raises(InvalidAgentType) as refused:
            getattr(make(), decorator)(function)
        assert str(refused.value).startswith(f"@account.{decorator} ")
        assert function.__qualname__ in str(refused.value)


def test_an_event_handler_gets_no_context() -> None:
    def handler(state: Account, event: Deposited, context: Context) -> Account: ...  # type: ignore[empty-body]

    with pytest.raises(InvalidAgentType, match=r"write it as \(state, message\)"):
        make().on_event(handler)


def test_a_message_class_with_a_field_that_can_not_be_stored_is_refused_at_the_decorator() -> None:
    class Strange(msgspec.Struct):
        field: "Nowhere"  # type: ignore[name-defined]  # noqa: F821

    class Model(pydantic.BaseModel):
        field: "Nowhere"  # type: ignore[name-defined]  # noqa: F821

    for cls in (Strange, Model):
        with pytest.raises(InvalidAgentType, match=rf"{cls.__name__}: a field can't be stored"):
            make().on_command(_handler_of(cls))


@pytest.mark.parametrize("name", ["", "a.b", "a b", "*", ">", "é", "a/b", "a" * 129])
def test_the_name_of_a_type_follows_the_grammar(name: str) -> None:
    with pytest.raises(InvalidId, match="agent type"):
        AgentType(name, Account)


@pytest.mark.parametrize("partitions", [0, -1, 257, 1.5, "4", None, True])
def test_partitions_are_1_to_256(partitions: Any) -> None:
    with pytest.raises(InvalidAgentType, match="partitions are 1 to 256"):
        AgentType("account", Account, partitions=partitions)
    assert (make().partitions, AgentType("a", Account, partitions=256).partitions) == (4, 256)


def test_a_state_that_needs_arguments_needs_an_initial_value() -> None:
    class Needs(msgspec.Struct, frozen=True):
        owner: str

    with pytest.raises(InvalidAgentType, match=r"Needs\(\) can't be made.*or pass initial="):
        AgentType("account", Needs)
    assert AgentType("account", Needs, initial=Needs("x")).behavior.initial() == Needs("x")
    assert make().behavior.initial() == Account()


def test_an_event_that_a_command_names_needs_a_handler() -> None:
    account = make()

    @account.on_command
    def deposit(state: Account, command: Deposit) -> Iterator[Deposited | Reply | Send | None]:
        yield Deposited(1)

    with pytest.raises(InvalidAgentType, match=r"deposit may yield Deposited, which has no on_eve"):
        account.check()

    @account.on_event
    def deposited(state: Account, event: Deposited) -> Account:
        return state

    account.check()


def test_a_handler_for_a_namesake_of_the_event_is_not_enough() -> None:
    @schema("Deposited")
    class Namesake(msgspec.Struct):
        pass

    account = make()

    @account.on_event
    def deposited(state: Account, event: Namesake) -> Account:
        return state

    @account.on_command
    def deposit(state: Account, command: Deposit) -> list[Deposited]:
        return [Deposited(1)]

    with pytest.raises(InvalidAgentType, match="may yield Deposited"):
        account.check()


@schema("Rated", version=3)
class Rated(msgspec.Struct, frozen=True):
    stars: int
    by: str


@upcast("Rated", 1)
def rated_stars(body: dict[str, Any]) -> dict[str, Any]:
    return {"stars": int(body["text"].count("*"))}


@schema("Judged", version=3)
class Judged(msgspec.Struct, frozen=True):
    verdict: str


@upcast("Judged", 2)
def judged_late(body: dict[str, Any]) -> dict[str, Any]:
    return body


@upcast("Judged", 1)
def judged_early(body: dict[str, Any]) -> dict[str, Any]:
    return {"verdict": body["v"]}


def rated_by(body: dict[str, Any]) -> dict[str, Any]:
    return {**body, "by": "unknown"}


def test_upcasts_are_found_in_the_module_and_taken_as_passed() -> None:
    reviews = AgentType("review", Account, upcasts=(upcast("Rated", 2)(_copy(rated_by)),))

    @reviews.on_event
    def rated(state: Account, event: Rated | Judged) -> Account:
        return state

    reviews.check()
    assert reviews.decode_event("Rated", 1, {"text": "***"}) == Rated(3, "unknown")
    assert reviews.decode_event("Judged", 1, {"v": "good"}) == Judged("good")


def _copy(function: Any) -> Any:
    # `upcast` marks the function itself, and the module is searched for marks.
    return lambda body: function(body)


@pytest.mark.parametrize("decorator", ["on_command", "on_event", "on_query"])
def test_a_version_without_the_upcasts_to_it_is_refused_by_check(decorator: str) -> None:
    reviews = AgentType("review", Account)

    @getattr(reviews, decorator)  # type: ignore[untyped-decorator]
    def rate(state: Account, message: Rated) -> Account:
        return state

    with pytest.raises(InvalidAgentType, match=r"version 3.*write @upcast\('Rated', 2\)"):
        reviews.check()


def test_an_upcast_that_is_passed_comes_before_one_of_the_module() -> None:
    passed = upcast("Judged", 1)(lambda body: {"verdict": "passed"})
    reviews = AgentType("review", Account, upcasts=(passed,))

    @reviews.on_event
    def judged(state: Account, event: Judged) -> Account:
        return state

    reviews.check()
    assert reviews.decode_event("Judged", 1, {"v": "good"}) == Judged("passed")


def test_upcasts_written_below_the_handlers_are_found_by_check(tmp_path: Path) -> None:
    code = """
import msgspec
from moonlet.agents import AgentType, schema, upcast

@schema("Rated", version=2)
class Rated(msgspec.Struct):
    stars: int

reviews = AgentType("review", dict)

@reviews.on_event
def rated(state: dict, event: Rated) -> dict:
    return {**state, "stars": event.stars}

@upcast("Rated", 1)
def rated_1(body):
    return {"stars": 1}

reviews.check()
print(reviews.decode_event("Rated", 1, {}).stars)
"""
    (tmp_path / "reviews.py").write_text(code)
    for command in (["reviews.py"], ["-c", "import reviews"]):
        ran = subprocess.run(
            [sys.executable, *command], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert (ran.stdout, ran.stderr) == ("1\n", "")


def test_messages_are_decoded_by_name() -> None:
    account = make()

    @account.on_command
    def deposit(state: Account, command: Deposit) -> None: ...

    assert account.decode_command("Deposit", 1, {"amount": 5}) == Deposit(5)
    with pytest.raises(UnknownCommand, match="account has no command 'Nope'; it has: Deposit"):
        account.decode_command("Nope", 1, {})
    with pytest.raises(UnknownCommand, match="account has no event 'Deposit'"):
        account.decode_event("Deposit", 1, {})
    with pytest.raises(InvalidMessage) as misfit:
        account.decode_command("Deposit", 1, {"amount": "five"})
    assert misfit.value.path == "$.amount"
    with pytest.raises(UnknownCommand, match="it has: none"):
        make().decode_command("Nope", 1, {})


class StructState(msgspec.Struct, frozen=True):
    names: frozenset[str] = frozenset()
    by_number: dict[int, bytes] = {}


@dataclasses.dataclass(frozen=True)
class DataclassState:
    names: frozenset[str] = frozenset()
    by_number: dict[int, bytes] = dataclasses.field(default_factory=dict)


class ModelState(pydantic.BaseModel):
    names: frozenset[str] = frozenset()
    by_number: dict[int, bytes] = {}


class AliasedState(pydantic.BaseModel):
    names: frozenset[str] = pydantic.Field(default=frozenset(), alias="from")
    by_number: dict[int, bytes] = {}


@pytest.mark.parametrize("kind", [StructState, DataclassState, ModelState, AliasedState])
def test_a_state_of_any_kind_comes_back_from_its_snapshot(kind: Any) -> None:
    agent_type = AgentType[Any]("x", kind)
    names = "from" if kind is AliasedState else "names"
    for state in (kind(), kind(**{names: frozenset("ab"), "by_number": {7: b"\xff"}})):
        assert agent_type.decode_state(agent_type.encode_state(state)) == state


def test_a_snapshot_of_another_state_class_is_not_misread() -> None:
    one, two = AgentType("x", StructState), AgentType("x", Account)
    assert one.state_code() != two.state_code()
    assert one.state_code() == AgentType("x", StructState).state_code()
    with pytest.raises((msgspec.MsgspecError, ValueError)):
        two.decode_state(msgspec.msgpack.encode({"balance": "text"}))
