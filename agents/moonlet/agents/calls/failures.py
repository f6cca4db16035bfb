"""Why a call failed, as its agent hears of it: whatever was raised, it arrives."""

import asyncio
from typing import Any

from moonlet.core.effects import Cause, FailureKind, PerformFailed
from moonlet.core.envelope import Envelope
from moonlet.core.errors import MAX_REASON, in_words, words
from moonlet.core.fold import plain_body


def failure(
    call: Envelope, kind: FailureKind, error: BaseException | str, attempts: int
) -> PerformFailed:
    """What the agent is told of an `error`, an exception or words, in that call."""
    message = error if isinstance(error, str) else _text(error)
    type_ = "" if isinstance(error, str) else words(_name(type(error)), MAX_REASON)
    short = type_.rpartition(".")[2]
    return PerformFailed(
        call.call,
        words(f"{short}: {message}" if short and message else short or message, MAX_REASON),
        plain_body(call.body),
        call.name,
        call.version,
        Cause(kind, type_, message),
        attempts,
    )


def kind_of(error: BaseException, *, ours: bool) -> FailureKind:
    """How an attempt ended; `ours`: it was we who found that it took too long."""
    if ours:
        return "timeout"
    return "cancelled" if isinstance(error, asyncio.CancelledError) else "raised"


def _text(error: BaseException) -> str:
    """What an exception says, and those that it is a group of."""
    text = words(error, MAX_REASON)
    if isinstance(error, BaseExceptionGroup):
        text += "".join(f"; {in_words(inner)}" for inner in error.exceptions[:5])
    return text[:MAX_REASON]


def _name(cls: type[Any]) -> str:
    module = str(cls.__module__)
    return cls.__qualname__ if module == "builtins" else f"{module}.{cls.__qualname__}"
