"""What an answer means to the caller."""

from typing import Any

import msgspec

from moonlet.core import errors
from moonlet.core.errors import Expired, InvalidMessage, MoonletError, Rejected
from moonlet.streams import Answer


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
    """The error to raise for an answer that is neither accepted nor answered."""
    if answer.outcome == "expired":
        return Expired(f"the command expired: {answer.reason}; send it again with a later deadline")
    if answer.outcome == "parked":
        return Rejected(
            f"parked: {answer.reason}; see the agent's history, mend the handler, send it again"
        )
    known = getattr(errors, answer.error, None) if answer.error in _SIMPLE else None
    if known is not None:
        error: MoonletError = known(answer.reason)
        return error
    return Rejected(answer.reason)


_SIMPLE = frozenset(
    {
        "Conflict",
        "Corrupt",
        "InvalidAgentType",
        "InvalidId",
        "InvalidMessage",
        "LimitExceeded",
        "PayloadTooLarge",
        "Unavailable",
        "Undecodable",
        "UnknownAgentType",
        "UnknownCommand",
    }
)
"""Error classes that an answer may name, each made from its message alone."""
