"""Why something happened and what followed, across agents, timers and calls, and its pictures."""

from moonlet.replay.causes.cause import (
    CausedBy,
    cause_of,
    cause_of_command,
    correlation_of,
    receiver_of,
)
from moonlet.replay.causes.chains import Followed, Leg, WhyStep, critical_path, effects, why
from moonlet.replay.causes.drawing import mermaid, swimlanes
from moonlet.replay.causes.lookup import Lookup, ScanLookup
from moonlet.replay.causes.otlp import otlp_trace
from moonlet.replay.causes.tracing import chrome_trace

__all__ = [
    "CausedBy",
    "Followed",
    "Leg",
    "Lookup",
    "ScanLookup",
    "WhyStep",
    "cause_of",
    "cause_of_command",
    "chrome_trace",
    "correlation_of",
    "critical_path",
    "effects",
    "mermaid",
    "otlp_trace",
    "receiver_of",
    "swimlanes",
    "why",
]
