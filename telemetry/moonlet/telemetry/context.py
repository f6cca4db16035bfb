"""What lines say of where they were written: bound by a task, or known by whoever runs there."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import structlog

Source = Callable[[], Mapping[str, Any]]
"""Asked while a line is written, in the thread that writes it: must be quick, and not fail."""

_sources: Final[list[Source]] = []


def add_source(source: Source) -> Callable[[], None]:
    """Have all lines say what `source` knows then; returns what takes it away again.

    So a host says who it is, and which command it decides, at no cost for what logs nothing.
    """
    _sources.append(source)

    def remove() -> None:
        if source in _sources:
            _sources.remove(source)

    return remove


def facts_now() -> dict[str, Any]:
    """The facts of here and now; what a task has bound (`log_context`) goes before the sources'."""
    found: dict[str, Any] = {}
    for source in _sources:
        found.update(source())
    found.update(structlog.contextvars.get_contextvars())
    return found
