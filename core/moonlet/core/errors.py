"""What can go wrong, as the caller sees it.

    MoonletError
      Rejected              the agent said no: tell the sender, nothing changed
      Conflict              another write came first, or an id was reused: reload and redo
      Unknown               no answer in time: `stored` says whether the command is durable
      Unavailable           the bus or the agent can't be reached now: wait and try again
        NoHost              no host runs this agent type now
      Undecodable           a stored record can't be read: stop and look
      Corrupt               a stored record contradicts another: stop and look
      LimitExceeded         over a bound (`limit`, `value`)
        MailboxFull         the agent's mailbox, or the internal queue, is full
        PayloadTooLarge     the message is too large to be stored
      Invalid               the caller's mistake: correct it
        InvalidId           an id outside its grammar
        InvalidMessage      a body that does not fit its class (`path`)
        InvalidAgentType    an agent type whose declaration is wrong
        InvalidSettings     a setting, a context or a file that can't be used
        UnknownAgentType    no agent type of this name is known
        UnknownCommand      the agent type handles no message of this name
      PermissionDenied      the server refused the subject
      Expired               the command's deadline passed before it was decided

Each message says what happened, why, and what to do next; the facts are attributes.
"""

import traceback
from typing import Final, Literal

Stored = Literal["no", "maybe", "yes"]

MAX_REASON: Final = 2_000
"""Characters of a reason that are kept."""

MAX_STACK: Final = 4_000
"""Characters of a stack that are kept with a parked command."""

MAX_LINE: Final = 1_000
"""Characters of one of its frames, or of its message, so that one can't push out the rest."""

_RUNTIME: Final = ("moonlet.core.", "moonlet.streams.", "moonlet.agents.")
"""Modules whose frames stand around those of handlers."""


def in_words(error: BaseException) -> str:
    """The class and the text of any error, at most 2,000 characters; never raises."""
    name = type(error).__name__
    text = words(error, MAX_REASON)
    return (f"{name}: {text}" if text else name)[:MAX_REASON]


def stack_of(error: BaseException) -> str:
    """The end of an error's traceback, as it is kept with a parked command; never raises."""
    try:
        lines = traceback.format_exception(error)
    except BaseException:  # what a handler raises may be of its own making
        return ""
    return words("".join(line[:MAX_LINE] for line in lines)[-MAX_STACK:], MAX_STACK)


def where_of(error: BaseException) -> str:
    """The line of the handler's code in which an error was raised, as `orders.py:31 in place`.

    Of its helpers in the same folder too; empty if the runtime itself raised. Never raises.
    """
    folder = found = ""
    for frame, line in traceback.walk_tb(error.__traceback__):
        code = frame.f_code
        here, _, file = code.co_filename.rpartition("/")
        if not folder and str(frame.f_globals.get("__name__", "")).startswith(_RUNTIME):
            continue
        folder = folder or here
        if here == folder:
            found = f"{file}:{line} in {code.co_name}"
    return words(found, MAX_LINE)


def words(value: object, limit: int) -> str:
    """Text that can be recorded, whatever a handler put into its error."""
    try:
        text = str(value)
    except BaseException:
        return ""
    return text[:limit].encode(errors="replace").decode()


class MoonletError(Exception):
    """The base of every error that is raised here on purpose."""


class Rejected(MoonletError):
    """The agent refused the command; nothing changed. `reason` is the agent's own."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Conflict(MoonletError):
    """Another write came first, or an id was used again with another body."""


class Unknown(MoonletError):
    """No answer in time. `stored`: 'no', 'maybe' or 'yes'; ask again with `command_id`."""

    def __init__(self, message: str, *, stored: Stored, command_id: str) -> None:
        super().__init__(message)
        self.stored: Stored = stored
        self.command_id = command_id


class Unavailable(MoonletError):
    """The bus, or the agent, can't be reached now; nothing is known to be wrong with the call."""


class NoHost(Unavailable):
    """No host runs this agent type at the moment."""


class Undecodable(MoonletError):
    """A stored record can't be read: `stream`, `sequence`, `type` (schema name), `field`."""

    def __init__(
        self, message: str, *, stream: str = "", sequence: int = 0, type: str = "", field: str = ""
    ) -> None:
        super().__init__(message)
        self.stream = stream
        self.sequence = sequence
        self.type = type
        self.field = field


class Corrupt(MoonletError):
    """A stored record contradicts another: `stream` and `sequence` say where."""

    def __init__(self, message: str, *, stream: str = "", sequence: int = 0) -> None:
        super().__init__(message)
        self.stream = stream
        self.sequence = sequence


class LimitExceeded(MoonletError):
    """Over a bound: `limit` and `value`, in the unit that the message names."""

    def __init__(self, message: str, *, limit: int = 0, value: int = 0) -> None:
        super().__init__(message)
        self.limit = limit
        self.value = value


class MailboxFull(LimitExceeded):
    """The agent's mailbox, or the internal queue, is full; nothing was stored."""


class PayloadTooLarge(LimitExceeded):
    """The message, headers counted, is over the limit (bytes); nothing was stored."""


class Invalid(MoonletError):
    """The caller's mistake; nothing was sent or stored."""


class InvalidId(Invalid):
    """An id, name or topic outside its grammar."""


class InvalidMessage(Invalid):
    """A body that doesn't fit its class, or isn't plain data; `path` names the field."""

    def __init__(self, message: str, *, path: str = "$") -> None:
        super().__init__(message)
        self.path = path


class InvalidAgentType(Invalid):
    """The declaration of an agent type is wrong; the message names the function and the fix."""


class InvalidSettings(Invalid):
    """A setting, context or file can't be used; the message names it."""


class UnknownAgentType(Invalid):
    """No agent type of this name is known here, or none is registered."""


class UnknownCommand(Invalid):
    """The agent type handles no message of this name."""


class PermissionDenied(MoonletError):
    """The server refused the operation on `subject` for the connection's user."""

    def __init__(self, message: str, *, subject: str = "") -> None:
        super().__init__(message)
        self.subject = subject


class Expired(MoonletError):
    """The command's deadline passed before it was decided; nothing changed."""
