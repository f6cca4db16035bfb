"""The actor runtime: what users write agents with, and what runs them."""

from collections.abc import Iterator
from typing import Any

from moonlet.agents.agent_type import AgentType
from moonlet.agents.context import Context
from moonlet.core.effects import Cancel, Perform, PerformFailed, Publish, Reply, Schedule, Send
from moonlet.core.errors import Rejected
from moonlet.core.schema import schema, upcast

Decision = Iterator[Any]
"""What a command handler that is a generator returns: events and effects, one by one."""

__all__ = [
    "AgentType",
    "Cancel",
    "Context",
    "Decision",
    "Perform",
    "PerformFailed",
    "Publish",
    "Rejected",
    "Reply",
    "Schedule",
    "Send",
    "schema",
    "upcast",
]
