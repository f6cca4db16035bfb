"""How a command ends: one exit code for each kind of end, after BSD's sysexits where one fits."""

from enum import IntEnum
from typing import Final

from moonlet.agents import EXIT_BLOCKED
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


class ExitCode(IntEnum):
    """What the shell gets; `MEANINGS` says each in words."""

    OK = 0
    FOUND = 1
    USAGE = 2
    DATA = 65
    UNAVAILABLE = 69
    INTERNAL = 70
    UNKNOWN = 75
    DENIED = 77
    BLOCKED = EXIT_BLOCKED
    INTERRUPTED = 130


MEANINGS: Final = {
    ExitCode.OK: "done",
    ExitCode.FOUND: "the agent said no; verify, doctor or the demo found a fault",
    ExitCode.USAGE: "your mistake: an option, an id, a message, a setting, a module",
    ExitCode.DATA: "a stored record can't be read, or contradicts another",
    ExitCode.UNAVAILABLE: "no server, no host, a full mailbox: wait, or start what is missing",
    ExitCode.INTERNAL: "a bug in Moonlet or in an agent type's code",
    ExitCode.UNKNOWN: "no answer in time: the message says whether the command is stored",
    ExitCode.DENIED: "the server refused the credentials or the subject",
    ExitCode.BLOCKED: "a handler kept its host over the limit: the log names it, and it is parked",
    ExitCode.INTERRUPTED: "ended by Ctrl-C or SIGTERM (`up` and `run` end with 0 then)",
}
"""Exit code → what it means; `moonlet --help` and docs/console.md show the same."""

_CODES: Final[tuple[tuple[type[MoonletError], ExitCode], ...]] = (
    (Rejected, ExitCode.FOUND),
    (Expired, ExitCode.FOUND),
    (Conflict, ExitCode.FOUND),
    (Invalid, ExitCode.USAGE),
    (Undecodable, ExitCode.DATA),
    (Corrupt, ExitCode.DATA),
    (MailboxFull, ExitCode.UNAVAILABLE),
    (LimitExceeded, ExitCode.USAGE),
    (Unavailable, ExitCode.UNAVAILABLE),
    (Unknown, ExitCode.UNKNOWN),
    (PermissionDenied, ExitCode.DENIED),
)


def exit_code(error: MoonletError) -> ExitCode:
    """The exit code of a command that ended with `error`."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), ExitCode.INTERNAL)
