"""Logs, traces, metrics: may be imported by every layer but the core."""

from moonlet.telemetry.context import add_source
from moonlet.telemetry.log import configure, get_logger, log_context
from moonlet.telemetry.loggers import levels, restore_levels, set_level, set_levels
from moonlet.telemetry.redaction import redact
from moonlet.telemetry.repeats import Repeats
from moonlet.telemetry.spans import traced

__all__ = [
    "Repeats",
    "add_source",
    "configure",
    "get_logger",
    "levels",
    "log_context",
    "redact",
    "restore_levels",
    "set_level",
    "set_levels",
    "traced",
]
