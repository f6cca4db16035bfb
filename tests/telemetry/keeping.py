"""What the tests of kept logs share."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from moonlet.telemetry.kept import LogLine, LogQuery, search_logs
from moonlet.telemetry.kept.lines_waiting import WaitingLine

TODAY = datetime.now(UTC).date()


def lines(folder: Path, **asked: Any) -> list[LogLine]:
    found = search_logs(folder, LogQuery(**asked))
    assert not found.troubles
    return found.lines


def events(folder: Path, **asked: Any) -> list[str]:
    return [line.event for line in lines(folder, **asked)]


def until(condition: Callable[[], object], seconds: float = 20.0) -> None:
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, "it did not come about in time"
        time.sleep(0.01)  # sleeps: between two looks


def waiting(time: int, level: int = 20, event: str = "x", **facts: Any) -> WaitingLine:
    return WaitingLine(time, level, "t.kept", event, facts, 300)
