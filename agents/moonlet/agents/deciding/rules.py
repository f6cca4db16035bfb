"""What deciding knows beside the agent itself: its type's code, whom to trust, and the limits."""

from typing import Any, Final

from moonlet.agents.deciding.running import Running
from moonlet.agents.deciding.state_watch import StateWatch
from moonlet.agents.definition import AgentType
from moonlet.core.errors import MoonletError
from moonlet.core.marks import reached
from moonlet.streams import Blocked

RECORD_MARGIN: Final = 2_048
"""Bytes of a commit's message that its headers take at most; a larger record is oversized."""


class Rules:
    """Made by the owner of a partition for its agents; equal rules decide equally.

    `fatal` is the place (`stream:sequence`) of a command that the last two owners died deciding,
    or empty; `blocked` are those, by their places, that kept a loop until its process was ended.
    Only the stream `timers` fires timers, only `internal` brings results of calls. In `running`
    stands what is decided now; `watch` looks for states that are changed in place.
    """

    __slots__ = (
        "agent_type",
        "app_version",
        "blocked",
        "epoch",
        "fatal",
        "internal",
        "record_limit",
        "running",
        "timers",
        "watch",
    )

    def __init__(
        self,
        agent_type: AgentType[Any],
        *,
        app_version: str,
        max_payload: int,
        timers: str,
        internal: str,
        fatal: str = "",
        epoch: int = 0,
        running: Running | None = None,
        watch: StateWatch | None = None,
    ) -> None:
        self.agent_type = agent_type
        self.app_version = app_version
        self.record_limit = max_payload - RECORD_MARGIN
        self.timers = timers
        self.internal = internal
        self.fatal = fatal
        self.epoch = epoch
        self.blocked: dict[str, Blocked] = {}
        self.running = running or Running()
        self.watch = watch


def crashed() -> MoonletError:
    """The reason to park a command that the last two owners died deciding."""
    reached("a command is parked since hosts died of it")
    return MoonletError(
        "its decision ended the process of three hosts; look at the handler before it is sent again"
    )
