"""What the lines of a host say of where they were written, asked when there is one to write."""

import threading
from collections.abc import Callable
from typing import Any, Final

from moonlet.agents.deciding import QueuedCommand, Running, Work
from moonlet.telemetry import add_source
from moonlet.telemetry.spans import read_traceparent, trace_id

_open: Final[set["LogFacts"]] = set()


class LogFacts:
    """One of a host, from `open` to `close`, in the thread of its loop.

    A line that a handler writes says its agent, revision, command, correlation and trace; all lines
    say the host, unless there are several in this process and none of them is at work.
    """

    def __init__(self, running: Running, host: Callable[[], str]) -> None:
        self._running = running
        self._host = host
        self._thread = 0
        self._remove: Callable[[], None] | None = None

    def open(self) -> None:
        """Lines say so from now on."""
        self._thread = threading.get_ident()
        self._remove = add_source(self._facts)
        _open.add(self)

    def close(self) -> None:
        """Twice is harmless."""
        _open.discard(self)
        if self._remove is not None:
            self._remove()
            self._remove = None

    def _facts(self) -> dict[str, Any]:
        work = self._running.work if threading.get_ident() == self._thread else None
        if work is None:
            return {"host": self._host()} if len(_open) == 1 else {}
        return {"host": self._host(), **_facts_of(work)}


def _facts_of(work: Work) -> dict[str, Any]:
    if not isinstance(work, QueuedCommand) or work.envelope is None:
        return {"agent": work.noted().agent}
    envelope = work.envelope
    correlation = envelope.correlation_id or envelope.id
    parent = read_traceparent(envelope.traceparent) if envelope.traceparent else None
    return {
        "agent": envelope.agent,
        "revision": work.revision + 1,
        "command": envelope.id,
        "correlation": correlation,
        "trace": parent.trace if parent is not None else trace_id(correlation),
    }
