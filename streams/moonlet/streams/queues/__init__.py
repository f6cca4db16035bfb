"""What waits for agents: commands, timers, what is parked; and what owners are asked."""

from moonlet.streams.queues.messages import (
    OWNER_CONTROL,
    OWNER_OUTCOME,
    OWNER_QUERY,
    Answer,
    Mailboxes,
    Question,
    answer_of,
    conflict_answer,
    decode_answer,
    decode_envelope,
    decode_question,
    encode_answer,
    encode_envelope,
    encode_question,
    explain_refusal,
    post_answer,
    post_outcome,
    same_command,
)
from moonlet.streams.queues.parked import ParkedStacks, ParkedStream
from moonlet.streams.queues.timers import Timers

__all__ = [
    "OWNER_CONTROL",
    "OWNER_OUTCOME",
    "OWNER_QUERY",
    "Answer",
    "Mailboxes",
    "ParkedStacks",
    "ParkedStream",
    "Question",
    "Timers",
    "answer_of",
    "conflict_answer",
    "decode_answer",
    "decode_envelope",
    "decode_question",
    "encode_answer",
    "encode_envelope",
    "encode_question",
    "explain_refusal",
    "post_answer",
    "post_outcome",
    "same_command",
]
