"""What deciding knows beside the agent itself: its type's code, whom to trust, and the limits."""

from typing import Any, Final

from moonlet.agents.definition import AgentType

RECORD_MARGIN: Final = 2_048
"""Bytes of a commit's message that its headers take at most; a larger record is oversized."""


class Rules:
    """Made by the owner of a partition for its agents; equal rules decide equally.

    `fatal` is the place (`stream:sequence`) of a command that the last two owners died deciding,
    or empty. Only the stream `timers` fires timers, only `internal` brings results of calls.
    """

    __slots__ = ("agent_type", "app_version", "fatal", "internal", "record_limit", "timers")

    def __init__(
        self,
        agent_type: AgentType[Any],
        *,
        app_version: str,
        max_payload: int,
        timers: str,
        internal: str,
        fatal: str = "",
    ) -> None:
        self.agent_type = agent_type
        self.app_version = app_version
        self.record_limit = max_payload - RECORD_MARGIN
        self.timers = timers
        self.internal = internal
        self.fatal = fatal
