"""What an answer means to the caller."""

from typing import Any

import msgspec

from moonlet.core import errors
from moonlet.core.errors import (
    Expired,
    InvalidMessage,
    MoonletError,
    Rejected,
    Unavailable,
    Unknown,
)
from moonlet.streams import Answer, Question


def value_of(answer: Answer, returns: Any) -> Any:
    """The reply, as a `returns` if there is one; raises what the answer says went wrong."""
    if answer.outcome not in ("accepted", "answered"):
        raise error_of(answer)
    if returns is None:
        return answer.reply
    try:
        return msgspec.convert(answer.reply, returns)
    except msgspec.ValidationError as misfit:
        raise InvalidMessage(
            f"the reply is no {getattr(returns, '__name__', returns)}: {misfit}"
        ) from None


def error_of(answer: Answer) -> MoonletError:
    """The error to raise for an answer that is neither accepted nor answered.

    A class that is not known here is some way in which an owner can't answer just now.
    """
    if answer.outcome == "expired":
        return Expired(f"the command expired: {answer.reason}; send it again with a later deadline")
    if answer.outcome == "parked":
        return Rejected(
            f"parked: {answer.reason}; see the agent's history, mend the handler, send it again"
        )
    known = getattr(errors, answer.error, None) if answer.error not in _NOT_SIMPLE else None
    if isinstance(known, type) and issubclass(known, MoonletError):
        error: MoonletError = known(answer.reason)
        return error
    if answer.outcome == "failed":
        return Unavailable(f"{answer.error or 'failed'}: {answer.reason}")
    return Rejected(answer.reason)


def outcome_of(answer: Answer, question: Question) -> Answer | None:
    """The answer to a question for an outcome, if it tells one; None: ask again.

    The command is stored, so nothing but its commit may say that it was refused. Raises
    `Unknown(stored='yes')` if its agent can't decide it before somebody has mended something.
    """
    if answer.outcome == "waiting":
        return None
    if answer.outcome != "failed" or answer.error == "Conflict":
        return answer
    error = error_of(answer)
    if isinstance(error, Unavailable):
        return None
    raise Unknown(
        f"the command is stored, and {question.agent} can't decide it now: {error}; once that is"
        " mended it is decided: ask again with the same id",
        stored="yes",
        command_id=question.id,
    ) from error


_NOT_SIMPLE = frozenset({"", "Unknown"})
"""Names of no class of `core.errors` that is made from its message alone."""
