"""What is done otherwise in a fork. Commands are named by their agent and id."""

from typing import Any

import msgspec


class Drop(msgspec.Struct, frozen=True):
    """The command never reaches its agent."""

    agent: str
    command: str


class Edit(msgspec.Struct, frozen=True):
    """The command reaches its agent with another body; plain data, as the agent type reads it."""

    agent: str
    command: str
    body: Any


class Insert(msgspec.Struct, frozen=True):
    """A command from outside that was never sent; `micros` since 1970 is when it is decided."""

    agent: str
    name: str
    body: Any
    micros: int


class Reorder(msgspec.Struct, frozen=True):
    """The command is decided just before another of any agent."""

    agent: str
    command: str
    before_agent: str
    before_command: str


Change = Drop | Edit | Insert | Reorder
