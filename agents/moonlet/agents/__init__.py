"""The actor runtime: what users write agents with, and what runs them."""

from collections.abc import Iterator
from typing import Any

from moonlet.agents.client import Client, Plain, Receipt
from moonlet.agents.connect import connect
from moonlet.agents.deciding import Running, Work, WorkNote
from moonlet.agents.definition import AgentType, Context
from moonlet.agents.histories import (
    HistoryFault,
    RepairPlan,
    Verification,
    fold_of,
    plan_repair,
    repair,
)
from moonlet.agents.hosting import (
    EXIT_BLOCKED,
    AlertWatch,
    Host,
    HostPages,
    LiveSpans,
    Mute,
    host_topics,
    tell_agent,
)
from moonlet.agents.manager import AgentManager, AgentStatus, SystemStatus
from moonlet.agents.topics import Published, TopicMessage, TopicSubscription
from moonlet.agents.watching import Gathered, HostEar, WatchAnswer, gather, living_hosts
from moonlet.core.effects import (
    Cancel,
    Cause,
    Perform,
    PerformFailed,
    Publish,
    Reply,
    Schedule,
    Send,
)
from moonlet.core.errors import Rejected
from moonlet.core.schema import schema, upcast
from moonlet.streams import Topology

Decision = Iterator[Any]
"""What a command handler that is a generator returns: events and effects, one by one."""

__all__ = [
    "EXIT_BLOCKED",
    "AgentManager",
    "AgentStatus",
    "AgentType",
    "AlertWatch",
    "Cancel",
    "Cause",
    "Client",
    "Context",
    "Decision",
    "Gathered",
    "HistoryFault",
    "Host",
    "HostEar",
    "HostPages",
    "LiveSpans",
    "Mute",
    "Perform",
    "PerformFailed",
    "Plain",
    "Publish",
    "Published",
    "Receipt",
    "Rejected",
    "RepairPlan",
    "Reply",
    "Running",
    "Schedule",
    "Send",
    "SystemStatus",
    "TopicMessage",
    "TopicSubscription",
    "Topology",
    "Verification",
    "WatchAnswer",
    "Work",
    "WorkNote",
    "connect",
    "fold_of",
    "gather",
    "host_topics",
    "living_hosts",
    "plan_repair",
    "repair",
    "schema",
    "tell_agent",
    "upcast",
]
