"""Reading handlers' signatures, with all annotations of this module as text (PEP 563)."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Any, Optional, Union

import msgspec
import pydantic
import pytest

from moonlet.agents import AgentType, Context, Decision, Reply
from moonlet.agents.definition import context as contexts
from moonlet.agents.definition.signature import Signature, read_signature
from moonlet.core.errors import InvalidAgentType

if TYPE_CHECKING:
    from somewhere import Absent  # type: ignore[import-not-found]


class State(msgspec.Struct):
    pass


class A(msgspec.Struct):
    pass


@dataclasses.dataclass
class B:
    pass


class C(pydantic.BaseModel):
    pass


Alias = A | B


def read(function: Callable[..., Any]) -> Signature:
    """As `on_command` reads it."""
    return read_signature(function, "account.on_command", leading=1, extras=("context",))


def read_perform(function: Callable[..., Any]) -> Signature:
    """As `on_perform` reads it."""
    return read_signature(function, "account.on_perform", leading=0, extras=("call_id",))


def test_the_message_is_the_second_parameter_whatever_its_name() -> None:
    def handler(anything: State, whatever: A) -> Decision:
        yield

    assert read(handler) == Signature((A,), False, False, ())


def test_structs_dataclasses_and_models_unions_and_annotated_are_read() -> None:
    def bar(state: State, command: A | B | C) -> None: ...
    def union(state: State, command: Union[A, Union[B, C]]) -> None: ...  # noqa: UP007
    def annotated(state: State, command: Annotated[A | Annotated[B, "x"], "y"] | C) -> None: ...
    def alias(state: State, command: Alias | C) -> None: ...
    def quoted(state: State, command: "A | B | C") -> None: ...  # noqa: UP037

    for handler in (bar, union, annotated, alias, quoted):
        assert read(handler).classes == (A, B, C), handler.__name__


def test_classes_local_to_the_function_around_are_found() -> None:
    class Local(msgspec.Struct):
        pass

    class Other(msgspec.Struct):
        pass

    def handler(state: State, command: Annotated[Local, "x"] | Other) -> Iterator[Other]:
        yield Other()

    assert read(handler).classes == (Local, Other)
    assert read(handler).returned == (Other,)


def test_the_nearest_of_two_local_classes_of_one_name_is_meant() -> None:
    class Near(msgspec.Struct):
        pass

    far = Near

    def inner() -> Signature:
        class Near(msgspec.Struct):
            pass

        def handler(state: State, command: Near) -> None: ...

        signature = read(handler)
        assert signature.classes == (Near,)
        return signature

    assert inner().classes != (far,)


def test_a_local_class_that_a_factory_closed_over_is_found_after_it_returned() -> None:
    def factory() -> Callable[..., Any]:
        class Closed(msgspec.Struct):
            pass

        def handler(state: State, command: Closed) -> list[Closed]:
            return [Closed()]

        return handler

    (cls,) = read(factory()).classes
    assert cls.__name__ == "Closed"


def test_a_class_may_be_named_through_its_module() -> None:
    def handler(state: State, command: A, other: contexts.Context) -> None: ...

    assert read(handler).wants_context


def test_the_context_is_known_by_name_or_by_annotation() -> None:
    def named(state: State, command: A, context) -> None: ...  # type: ignore[no-untyped-def]
    def annotated(state: State, command: A, c: Context) -> None: ...
    def both(state: State, command: A, context: Context) -> None: ...
    def wrapped(state: State, command: A, c: Annotated[Context, "x"]) -> None: ...
    def optional(state: State, command: A, c: Optional[Context] = None) -> None: ...  # noqa: UP045
    def without(state: State, command: A) -> None: ...

    for handler in (named, annotated, both, wrapped, optional):
        assert read(handler).wants_context, handler.__name__
    assert not read(without).wants_context


def test_a_perform_handler_may_ask_for_its_call_id() -> None:
    async def short(call: A) -> B: ...  # type: ignore[empty-body]
    async def long(call: A | B, call_id: str) -> C: ...  # type: ignore[empty-body]

    assert read_perform(short) == Signature((A,), False, False, (B,))
    assert read_perform(long) == Signature((A, B), False, True, (C,))


def test_what_a_handler_may_yield_is_read_from_wherever_it_stands_in_the_return() -> None:
    def one(state: State, command: A) -> Iterator[B]: ...  # type: ignore[empty-body]
    def more(state: State, command: A) -> list[A | Annotated[C, "x"] | None]: ...  # type: ignore[empty-body]
    def any_(state: State, command: A) -> Iterator[Any]: ...  # type: ignore[empty-body]
    def silent(state, command: A): ...  # type: ignore[no-untyped-def]

    assert read(one).returned == (B,)
    assert read(more).returned == (A, C)
    assert read(any_).returned == read(silent).returned == ()


def test_methods_and_wrapped_functions_are_read_through() -> None:
    class Handlers:
        def handler(self, state: State, command: A) -> None: ...

    def wrap(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def wrapper(*arguments: Any) -> Any:
            return function(*arguments)

        return wrapper

    @wrap
    def wrapped(state: State, command: B) -> None: ...

    assert read(Handlers().handler).classes == (A,)
    assert read(wrapped).classes == (B,)


def no_annotation(state, command): ...  # type: ignore[no-untyped-def]  # fmt: skip
def only_the_state(state: State, command) -> None: ...  # type: ignore[no-untyped-def]  # fmt: skip
def no_class(state: State, command: int) -> None: ...
def no_message(state: State, command: A | None) -> None: ...
def text(state: State, command: str) -> None: ...
def anything(state: State, command: Any) -> None: ...
def container(state: State, command: list[A]) -> None: ...
def under_type_checking(state: State, command: Absent) -> None: ...
def misspelt(state: State, command: Mispelt) -> None: ...  # type: ignore[name-defined]  # noqa: F821
def misspelt_in_module(state: State, command: contexts.Mispelt) -> None: ...  # type: ignore[name-defined]
def misspelt_return(state: State, command: A) -> Iterator[Nowhere]: ...  # type: ignore[name-defined,empty-body]  # noqa: F821
def no_syntax(state: State, command: "A |") -> None: ...  # type: ignore  # noqa: F722
def no_type(state: State, command: 1 / 0) -> None: ...  # type: ignore  # fmt: skip
def no_parameter() -> None: ...
def state_only(state: State) -> None: ...
def four(state: State, command: A, context: Context, more: int) -> None: ...
def strange_third(state: State, command: A, clock: int) -> None: ...
def two_contexts(state: State, command: A, context: Context, c: Context) -> None: ...
def context_second(state: State, context: Context, command: A) -> None: ...
def keyword_only(state: State, *, command: A) -> None: ...
def keyword_context(state: State, command: A, *, context: Context) -> None: ...
def starred(*arguments: A) -> None: ...
def double_starred(state: State, command: A, **more: Any) -> None: ...
def call_id_of_a_command(state: State, command: A, call_id: str) -> None: ...


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (no_annotation, "parameter 'command' has no annotation: name the message class"),
        (only_the_state, "parameter 'command' has no annotation"),
        (no_class, "is annotated <class 'int'>, which is no message class: use a"),
        (no_message, "'command' is annotated <class 'NoneType'>"),
        (text, "which is no message class"),
        (anything, "which is no message class"),
        (container, "which is no message class"),
        (under_type_checking, r"can't be resolved \(name 'Absent' is not defined\): define or"),
        (misspelt, r"can't be resolved \(name 'Mispelt'"),
        (misspelt_in_module, r"can't be resolved \(.*'Mispelt'"),
        (misspelt_return, r"can't be resolved \(name 'Nowhere'"),
        (no_syntax, "can't be read"),
        (no_type, "can't be read"),
        (no_parameter, r"write it as \(state, message\[, context\]\)"),
        (state_only, r"write it as \(state, message\[, context\]\)"),
        (four, "'more' is an unexpected parameter"),
        (strange_third, "'clock' is an unexpected parameter"),
        (two_contexts, "'c' is an unexpected parameter"),
        (context_second, "'command' is an unexpected parameter"),
        (keyword_only, "positional parameters only"),
        (keyword_context, "positional parameters only"),
        (starred, r"write it as \(state, message\[, context\]\)"),
        (double_starred, "'more' is an unexpected parameter"),
        (call_id_of_a_command, "'call_id' is an unexpected parameter"),
        (lambda state, command: None, "parameter 'command' has no annotation"),
        (functools.partial(four, State()), "."),
        (7, "is no function"),
        (None, "is no function"),
        (A, "."),
    ],
)
def test_a_handler_written_otherwise_is_refused_with_its_name_and_the_fix(
    function: Any, why: str
) -> None:
    name = getattr(function, "__qualname__", "")
    with pytest.raises(InvalidAgentType, match=why) as refused:
        read(function)
    assert str(refused.value).startswith("@account.on_command ")
    assert name in str(refused.value)


async def stateful(state: State, call: A) -> B: ...  # type: ignore[empty-body]
async def nothing() -> B: ...  # type: ignore[empty-body]
async def with_context(call: A, context: Context) -> B: ...  # type: ignore[empty-body]


@pytest.mark.parametrize("function", [stateful, nothing, with_context])
def test_a_perform_handler_takes_the_call_alone_and_is_told_so(function: Any) -> None:
    with pytest.raises(InvalidAgentType, match=r"write it as \(message\[, call_id\]\)"):
        read_perform(function)


def test_a_state_that_does_not_come_first_is_refused() -> None:
    account = AgentType("account", State)

    def swapped(command: A, state: State) -> Decision:
        yield Reply()

    def swapped_and_bare(command, state: State):  # type: ignore[no-untyped-def]
        yield Reply()

    def other(state: B, command: A) -> Decision:
        yield Reply()

    for function, said in ((swapped, "A stands"), (swapped_and_bare, "State"), (other, "B stands")):
        for decorate in (account.on_command, account.on_query):
            with pytest.raises(InvalidAgentType, match=rf"{said}.*\(state: State, message: ...\)"):
                decorate(function)

    def bare(state, command: A) -> Decision:  # type: ignore[no-untyped-def]
        yield Reply()

    def anything(state: Any, command: B) -> Decision:
        yield Reply()

    account.on_command(bare)
    account.on_command(anything)
