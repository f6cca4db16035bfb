"""Which commit a command came from: another agent's, the agent's own, or none, from outside."""

import re
from typing import Any, Final, Literal, Protocol

import msgspec

from moonlet.core.commit import Commit, Effect

_CAUSED: Final = re.compile(
    r"([A-Za-z0-9_-]{1,128}/[A-Za-z0-9_-]{1,128}):(\d{1,18})\.(\d{1,6})(:result)?"
)


class CausedBy(msgspec.Struct, frozen=True):
    """Effect `index` of the commit `revision` of `agent`, and by what it came: sent, fired, called.

    A repair's and a client's commands have none.
    """

    kind: Literal["send", "timer", "call"]
    agent: str
    revision: int
    index: int

    @property
    def commit(self) -> str:
        """The commit as a point."""
        return f"{self.agent}@{self.revision}"


class Came(Protocol):
    """What a command says of where it came from."""

    @property
    def id(self) -> str:
        """The command's id."""
        ...

    @property
    def sender(self) -> str:
        """Who sent it."""
        ...

    @property
    def timer(self) -> str:
        """The timer that fired it, or ''."""
        ...

    @property
    def call(self) -> str:
        """The call whose result it brings, or ''."""
        ...


def cause_of(commit: Commit[Any]) -> CausedBy | None:
    """As the commit's command says, whose id is made of it; None if it came from outside.

    A stranger may claim what it likes: whether the effect is there is seen by looking.
    """
    return cause_of_command(commit.command)


def cause_of_command(command: Came) -> CausedBy | None:
    """The same of a command alone."""
    if ":" not in command.id or "/" not in command.sender:
        return None
    told = _CAUSED.fullmatch(command.id)
    if told is None:
        return None
    agent, revision, index = told[1], int(told[2]), int(told[3])
    if agent != command.sender or bool(told[4]) != bool(command.call):
        return None
    kind: Literal["send", "timer", "call"] = "send"
    if command.timer:
        kind = "timer"
    elif command.call:
        kind = "call"
    return CausedBy(kind, agent, revision, index)


def correlation_of(commit: Commit[Any]) -> str:
    """The id of the command from outside that all of a conversation follows from."""
    return commit.command.correlation_id or commit.command.id


def receiver_of(commit: Commit[Any], effect: Effect[Any]) -> str:
    """The agent that gets the command which an effect becomes; empty if it becomes none."""
    if effect.kind == "send":
        return effect.target
    return commit.agent if effect.kind in ("schedule", "perform") else ""
