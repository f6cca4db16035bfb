"""Structured logs: one place that gives loggers, and that keeps secrets out of them."""

import logging
import sys
import time
from collections.abc import MutableMapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any

import structlog

from moonlet.telemetry.loggers import logger_of, set_level
from moonlet.telemetry.redaction import redact


def get_logger(name: str) -> Any:
    """A logger that names its module: warnings, to stderr, until `configure` or `set_level`.

    Lines go through structlog as it is configured when they are written. Any, since the methods
    take whatever facts there are.
    """
    if not structlog.is_configured():
        configure(logging.WARNING)
    return logger_of(name)


def configure(level: int, *, json: bool = False) -> None:
    """Log from `level` (of `logging`) on to stderr, as text for people or as JSON lines."""
    set_level(level)
    renderer: Any = structlog.processors.JSONRenderer()
    if not json:
        renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            stamp,
            structlog.processors.format_exc_info,
            redact,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=_to_stderr,
    )


def _to_stderr(*_: Any) -> Any:
    """Looks `sys.stderr` up at each use, since tests and consoles replace it."""
    return structlog.PrintLogger(sys.stderr)


def stamp(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor: the time, UTC. structlog's own asks a clock that no simulation has."""
    now = datetime.fromtimestamp(time.time(), UTC)
    event["timestamp"] = now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return event


def log_context(**facts: Any) -> AbstractContextManager[None]:
    """Have all lines that are written inside, in this task, say these facts too.

    The framework's own are agent, command, correlation, host, revision, trace.
    """
    return structlog.contextvars.bound_contextvars(**facts)
