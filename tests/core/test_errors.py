"""The error tree: as drawn at the head of its module, with the facts as attributes."""

import inspect
import re
from typing import Any

import pytest

from moonlet.core import errors
from moonlet.core.errors import MoonletError

CLASSES = [
    cls
    for _, cls in inspect.getmembers(errors, inspect.isclass)
    if issubclass(cls, Exception) and cls.__module__ == errors.__name__
]


def test_the_tree_is_the_one_that_is_drawn() -> None:
    assert errors.__doc__ is not None
    drawn: dict[str, str] = {}
    path: list[str] = []
    for indent, name in re.findall(r"^( {4,8})([A-Z]\w+)(?:  |$)", errors.__doc__, re.MULTILINE):
        depth = len(indent) // 2 - 2
        path[depth:] = [name]
        drawn[name] = path[depth - 1] if depth else "Exception"
    assert drawn == {cls.__name__: cls.__mro__[1].__name__ for cls in CLASSES}


FACTS: dict[str, dict[str, Any]] = {
    "Unknown": {"stored": "maybe", "command_id": "c1"},
    "Undecodable": {"stream": "s", "sequence": 7, "type": "Deposited", "field": "$.amount"},
    "Corrupt": {"stream": "s", "sequence": 7},
    "LimitExceeded": {"limit": 1, "value": 2},
    "MailboxFull": {"limit": 1, "value": 2},
    "PayloadTooLarge": {"limit": 1, "value": 2},
    "InvalidMessage": {"path": "$.a"},
    "PermissionDenied": {"subject": "x"},
}


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_an_error_says_its_message_and_carries_its_facts(cls: Any) -> None:
    facts = FACTS.get(cls.__name__, {})
    error = cls("what happened", **facts)
    assert isinstance(error, MoonletError)
    assert str(error) == "what happened"
    assert {name: getattr(error, name) for name in facts} == facts


def test_a_rejection_keeps_the_agents_reason() -> None:
    assert errors.Rejected("amount must be positive").reason == "amount must be positive"


def test_where_an_error_was_raised_is_the_line_of_the_handlers_own_code() -> None:
    def helper() -> None:
        int("no number")

    def through_core() -> None:
        errors.words(Worse(), "no limit")  # type: ignore[arg-type]

    class Worse:
        def __str__(self) -> str:
            return "x"

    for function, told in ((helper, "in helper"), (through_core, "in through_core")):
        try:
            function()
        except Exception as error:
            where = errors.where_of(error)
            line = re.fullmatch(rf"test_errors\.py:(\d+) {told}", where)
            assert line is not None and int(line[1]) > function.__code__.co_firstlineno
    assert errors.where_of(ValueError("raised nowhere")) == ""
    try:
        errors.words("x", "no limit")  # type: ignore[arg-type]
    except TypeError as error:
        inside = error.with_traceback(error.__traceback__ and error.__traceback__.tb_next)
        assert errors.where_of(inside) == ""  # the runtime's own lines are no handler's
    else:
        raise AssertionError("words() took a limit that is none")
