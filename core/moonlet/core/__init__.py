"""Pure values, rules and ports: no I/O, clock, randomness, asyncio. All other layers import it."""

from moonlet.core.codec import ENCODING_HEADER, Codec, Encoding
from moonlet.core.commit import Command, Commit, Decoded, Effect, Event, Outcome
from moonlet.core.digest import DIGEST_HEADER, record_digest, state_digest
from moonlet.core.effects import Cancel, Perform, PerformFailed, Publish, Reply, Schedule, Send
from moonlet.core.envelope import Envelope
from moonlet.core.errors import (
    Conflict,
    Corrupt,
    Expired,
    Invalid,
    InvalidAgentType,
    InvalidId,
    InvalidMessage,
    InvalidSettings,
    LimitExceeded,
    MailboxFull,
    MoonletError,
    NoHost,
    PayloadTooLarge,
    PermissionDenied,
    Rejected,
    Unavailable,
    Undecodable,
    Unknown,
    UnknownAgentType,
    UnknownCommand,
)
from moonlet.core.fold import Fold, call_id
from moonlet.core.frontier import Frontier
from moonlet.core.hlc import HybridClock, Timestamp
from moonlet.core.ids import LANES, AgentId, Lane, partition_of
from moonlet.core.marks import buggify, reached
from moonlet.core.ports import Clock, Entropy
from moonlet.core.schema import MessageType, schema, upcast

__all__ = [
    "DIGEST_HEADER",
    "ENCODING_HEADER",
    "LANES",
    "AgentId",
    "Cancel",
    "Clock",
    "Codec",
    "Command",
    "Commit",
    "Conflict",
    "Corrupt",
    "Decoded",
    "Effect",
    "Encoding",
    "Entropy",
    "Envelope",
    "Event",
    "Expired",
    "Fold",
    "Frontier",
    "HybridClock",
    "Invalid",
    "InvalidAgentType",
    "InvalidId",
    "InvalidMessage",
    "InvalidSettings",
    "Lane",
    "LimitExceeded",
    "MailboxFull",
    "MessageType",
    "MoonletError",
    "NoHost",
    "Outcome",
    "PayloadTooLarge",
    "Perform",
    "PerformFailed",
    "PermissionDenied",
    "Publish",
    "Rejected",
    "Reply",
    "Schedule",
    "Send",
    "Timestamp",
    "Unavailable",
    "Undecodable",
    "Unknown",
    "UnknownAgentType",
    "UnknownCommand",
    "buggify",
    "call_id",
    "partition_of",
    "reached",
    "record_digest",
    "schema",
    "state_digest",
    "upcast",
]
