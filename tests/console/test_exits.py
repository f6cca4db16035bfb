"""Exit codes: every error has one, and the one that says what to do about it."""

import pytest

from moonlet.console.common import MEANINGS, ExitCode, exit_code
from moonlet.core import errors
from moonlet.core.errors import MoonletError

CODES = {
    "Rejected": 1,
    "Expired": 1,
    "Conflict": 1,
    "Invalid": 2,
    "InvalidId": 2,
    "InvalidMessage": 2,
    "InvalidAgentType": 2,
    "InvalidSettings": 2,
    "UnknownAgentType": 2,
    "UnknownCommand": 2,
    "LimitExceeded": 2,
    "PayloadTooLarge": 2,
    "Undecodable": 65,
    "Corrupt": 65,
    "Unavailable": 69,
    "NoHost": 69,
    "MailboxFull": 69,
    "Unknown": 75,
    "PermissionDenied": 77,
}


def test_every_error_of_the_tree_has_an_exit_code() -> None:
    tree = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type)
        and issubclass(value, MoonletError)
        and value is not MoonletError
        and not name.startswith("_")
    }
    assert tree == set(CODES)


@pytest.mark.parametrize(("name", "code"), CODES.items())
def test_an_error_ends_the_command_with_its_code(name: str, code: int) -> None:
    kind: type[MoonletError] = getattr(errors, name)
    facts = {"stored": "maybe", "command_id": "x"} if name == "Unknown" else {}
    assert exit_code(kind("why", **facts)) == code
    assert code in MEANINGS


def test_what_is_none_of_them_is_a_bug() -> None:
    assert exit_code(MoonletError("why")) == ExitCode.INTERNAL
