"""Logs, traces, metrics: may be imported by every layer but the core."""

from moonlet.telemetry.log import configure, get_logger, redact

__all__ = ["configure", "get_logger", "redact"]
