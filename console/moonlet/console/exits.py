"""How a command ends: one exit code for each kind of end, after BSD's sysexits where one fits."""

from typing import Final

from moonlet.core.errors import (
    Conflict,
    Corrupt,
    Expired,
    Invalid,
    LimitExceeded,
    MailboxFull,
    MoonletError,
    PermissionDenied,
    Rejected,
    Unavailable,
    Undecodable,
    Unknown,
)

OK: Final = 0
FOUND: Final = 1
USAGE: Final = 2
DATA: Final = 65
UNAVAILABLE: Final = 69
INTERNAL: Final = 70
UNKNOWN: Final = 75
DENIED: Final = 77
INTERRUPTED: Final = 130

MEANINGS: Final = {
    OK: "done",
    FOUND: "the agent said no; verify, doctor or the demo found a fault",
    USAGE: "your mistake: an option, an id, a message, a setting, a module",
    DATA: "a stored record can't be read, or contradicts another",
    UNAVAILABLE: "no server, no host, a full mailbox: wait, or start what is missing",
    INTERNAL: "a bug in Moonlet or in an agent type's code",
    UNKNOWN: "no answer in time: the message says whether the command is stored",
    DENIED: "the server refused the credentials or the subject",
    INTERRUPTED: "ended by Ctrl-C or SIGTERM (`up` and `run` end with 0 then)",
}
"""Exit code → what it means; `moonlet --help` and docs/console.md show the same."""

_CODES: Final[tuple[tuple[type[MoonletError], int], ...]] = (
    (Rejected, FOUND),
    (Expired, FOUND),
    (Conflict, FOUND),
    (Invalid, USAGE),
    (Undecodable, DATA),
    (Corrupt, DATA),
    (MailboxFull, UNAVAILABLE),
    (LimitExceeded, USAGE),
    (Unavailable, UNAVAILABLE),
    (Unknown, UNKNOWN),
    (PermissionDenied, DENIED),
)


def exit_code(error: MoonletError) -> int:
    """The exit code of a command that ended with `error`."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), INTERNAL)
