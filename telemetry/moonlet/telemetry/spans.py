"""Ids of spans and traces, derived from what the journal holds: equal for whoever derives them.

W3C "Trace Context" (level 1): a trace id is 16 bytes, a span id 8, none of them all zero.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from hashlib import blake2b
from typing import Final, NamedTuple

_PARENT: Final = re.compile(r"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")


def span_id(agent: str, revision: int) -> str:
    """The span of a commit, in hex."""
    return blake2b(f"{agent}/{revision}".encode(), digest_size=8).hexdigest()


def trace_id(command: str) -> str:
    """The trace that begins with the command of this id, in hex."""
    return blake2b(command.encode(), digest_size=16).hexdigest()


class Parent(NamedTuple):
    """What a `traceparent` says: the caller's trace and span, and whether it is sampled."""

    trace: str
    span: str
    sampled: bool


def read_traceparent(text: str) -> Parent | None:
    """None if it is not one: then it is as if there was none, as the standard asks."""
    match = _PARENT.fullmatch(text)
    if match is None or (match[4] and text.startswith("00")):
        return None
    trace, span = match[1], match[2]
    if not trace.strip("0") or not span.strip("0"):
        return None
    return Parent(trace, span, bool(int(match[3], 16) & 1))


def write_traceparent(trace: str, span: str, *, sampled: bool) -> str:
    """What `read_traceparent` reads."""
    return f"00-{trace}-{span}-{int(sampled):02x}"


def passed_on(traceparent: str, command: str, agent: str, revision: int, *, timer: bool) -> str:
    """What a commit's effects bring: its own span as their parent; '' if it was brought nothing.

    Of what a timer fired a new trace begins, which `command` names.
    """
    parent = read_traceparent(traceparent) if traceparent else None
    if parent is None:
        return ""
    trace = trace_id(command) if timer else parent.trace
    return write_traceparent(trace, span_id(agent, revision), sampled=parent.sampled)


_brought: ContextVar[str] = ContextVar("moonlet_traceparent", default="")
brought: Final = _brought.get
"""The `traceparent` that commands of this task bring; '' if nobody said `traced`."""


@contextmanager
def traced(traceparent: str) -> Iterator[None]:
    """Have the commands that this task sends inside be part of a caller's trace (W3C).

    What is no `traceparent` is as none, as the standard asks.
    """
    token = _brought.set(traceparent if read_traceparent(traceparent) is not None else "")
    try:
        yield
    finally:
        _brought.reset(token)
