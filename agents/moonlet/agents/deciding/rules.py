"""What deciding knows beside the agent itself: its type's code, whom to trust, and the limits."""

from collections.abc import Callable
from typing import Any, Final

from moonlet.agents.deciding.running import Running
from moonlet.agents.deciding.state_watch import StateWatch
from moonlet.agents.definition import AgentType
from moonlet.core.envelope import Envelope
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
    stands what is decided now; `watch` looks for states that are changed in place. `newer`
    says whether newer code is to have a command that this doesn't know.
    """

    __slots__ = (
        "agent_type",
        "app_version",
        "blocked",
        "epoch",
        "fatal",
        "internal",
        "newer",
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
        newer: Callable[[str], bool] | None = None,
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
        self.newer = newer

    def leave(self, envelope: Envelope) -> bool:
        """Whether a command that could not be read is of later code, which is to have it."""
        handler = self.agent_type.behavior.commands.get(envelope.name)
        if self.newer is None or (handler and envelope.version <= handler.message.version):
            return False
        return self.newer(f"command {envelope.name:.100}, version {envelope.version}")


def crashed() -> MoonletError:
    """The reason to park a command that the last two owners died deciding."""
    reached("a command is parked since hosts died of it")
    return MoonletError(
        "its decision ended the process of three hosts; look at the handler before it is sent again"
    )
