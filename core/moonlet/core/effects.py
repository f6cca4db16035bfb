"""Effects as data: what a command handler yields beside events, done by the host after the commit.

Nothing here happens when it is yielded. A `Rejected` handler, or a replay, does none of it.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

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


class PerformFailed(msgspec.Struct, frozen=True):
    """Arrives instead of a call's result: which call, and the error as text."""

    call_id: str
    error: str


EFFECTS = (Send, Publish, Schedule, Cancel, Perform)
"""The classes of effects, the reply apart."""
