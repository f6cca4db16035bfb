"""Effects as data: what a command handler yields beside events, done by the host after the commit.

Nothing here happens when it is yielded. A `Rejected` handler, or a replay, does none of it.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

import msgspec

from moonlet.core.ids import Lane


class Reply(msgspec.Struct, frozen=True):
    """The answer to whoever asked; at most one a command. Recorded in the commit."""

    value: Any = None


@dataclass(frozen=True, slots=True)
class Send:
    """A command to another agent, or to this one; delivered once, in order per agent and lane."""

    agent: str
    command: Any
    lane: Lane = "medium"


@dataclass(frozen=True, slots=True)
class Publish:
    """A message to a topic, for whoever listens; kept while the topic's stream has room."""

    topic: str
    body: Any


@dataclass(frozen=True, slots=True)
class Schedule:
    """A command to this agent later: `after` (seconds or a timedelta) or `at` (aware datetime).

    A second one under the same `name` replaces the first. What is due in the past fires at once.
    """

    command: Any
    after: float | timedelta | None = field(default=None, kw_only=True)
    at: datetime | None = field(default=None, kw_only=True)
    name: str = field(kw_only=True)


@dataclass(frozen=True, slots=True)
class Cancel:
    """Forget the timer of this name; one that has fired or never was is no error."""

    name: str


@dataclass(frozen=True, slots=True)
class Perform:
    """Work for the outside world: `call` goes to the `on_perform` handler of its class.

    It runs on any host at least once; what it returns arrives here as a command, once.
    """

    call: Any


FailureKind = Literal["raised", "timeout", "cancelled", "bad call", "bad result", "no handler"]


class Cause(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why a call failed.

    "raised", "timeout" and "cancelled" say how its last attempt ended; "bad call" and "bad result"
    that one of them is no message that can be stored or read; "no handler" that the host's code has
    none. `type` is the exception's class, with its module unless that is `builtins`.
    """

    kind: FailureKind = "raised"
    type: str = ""
    message: str = ""


class PerformFailed(msgspec.Struct, frozen=True, omit_defaults=True):
    """Arrives instead of a call's result: which call, and the error, in words and as data.

    `call` is the call itself, of its class where the agent type's `on_perform` still takes it, else
    plain data; None if it left no room for the error. `attempts` counts those of the last host.
    """

    call_id: str
    error: str
    call: Any = None
    call_name: str = ""
    call_version: int = 1
    cause: Cause = Cause()
    attempts: int = 0


EFFECTS = (Send, Publish, Schedule, Cancel, Perform)
"""The classes of effects, the reply apart."""
