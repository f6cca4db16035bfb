"""Finding kept lines: the newest first, a day after the other, by the index of their words."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from moonlet.core.errors import Corrupt, Invalid, Unavailable
from moonlet.telemetry.kept.day_file import opened_to_read
from moonlet.telemetry.kept.folder import DAY_MICROS, LogFile, LogFolder, start_of
from moonlet.telemetry.kept.line import LogLine, level_name
from moonlet.telemetry.kept.query import LogQuery, level_number, words_of

SECONDS_MAX: Final = 20.0
"""What one search may take; then what was found by then is told, and that there may be more."""

STEPS: Final = 100_000
"""Steps of SQLite between two looks at the time."""

_COLUMNS: Final = (
    "l.line, l.level, l.module, l.event, l.agent, l.revision, l.command, l.correlation, l.host,"
    " l.trace, l.facts, l.late"
)


class FoundLines(NamedTuple):
    """Lines, the oldest first, and which files could not be read, and why."""

    lines: list[LogLine]
    troubles: list[str]


class LineId(NamedTuple):
    """A line's day, and its row there."""

    day: date
    row: int

    def __str__(self) -> str:
        return f"{self.day}:{self.row}"


def parse_line_id(text: str) -> LineId:
    """`2026-12-01:53012345678`; raises `Invalid`."""
    day, _, row = text.partition(":")
    try:
        if row.isascii() and row.isdigit() and len(row) <= 18:
            return LineId(date.fromisoformat(day), int(row))
    except ValueError:
        pass
    raise Invalid(f"{text!r:.80} names no line: they are like 2026-12-01:53012345678")


def search_logs(folder: Path, query: LogQuery) -> FoundLines:
    """The lines of a folder that fit; raises `Invalid` for a query that can't be understood.

    What can't be read is left out, and told among the troubles. Nothing is written.
    """
    words_of(query)
    ends = time.monotonic() + SECONDS_MAX
    after = parse_line_id(query.after) if query.after else None
    before = parse_line_id(query.before) if query.before else None
    logs = LogFolder(folder)
    store = logs.store() if logs.path.is_dir() else ""
    lines: list[LogLine] = []
    troubles: list[str] = []
    files = logs.files()
    for file in reversed(files) if after else files:
        if len(lines) >= query.limit:
            break
        if not _may_hold(file, query, after, before):
            continue
        try:
            with closing(opened_to_read(file.path)) as connection:
                connection.set_progress_handler(lambda: time.monotonic() > ends, STEPS)
                rows = _rows(connection, file, query, after, before)
                left = query.limit - len(lines)
                for row, _ in zip(rows, range(left), strict=False):
                    lines.append(_line(file.day, row, store))
        except (Unavailable, Corrupt) as error:
            troubles.append(str(error))
        except sqlite3.Error as error:
            if time.monotonic() > ends:
                troubles.append(f"the search took {SECONDS_MAX:.0f} s, and was ended: ask for less")
                break
            troubles.append(f"{file.path} can't be read: {error}")
    lines.sort(key=lambda line: parse_line_id(line.id))
    return FoundLines(lines, troubles)


def newest_line(folder: Path) -> str:
    """The id of the last line that is kept; '' if there is none that can be read."""
    found = search_logs(folder, LogQuery(limit=1)).lines
    return found[0].id if found else ""


def _may_hold(file: LogFile, query: LogQuery, after: LineId | None, before: LineId | None) -> bool:
    if after is not None and file.day < after.day:
        return False
    if before is not None and file.day > before.day:
        return False
    if query.since and start_of(file.day) + DAY_MICROS <= query.since:
        return False
    return not (query.until and start_of(file.day) >= query.until)


def _rows(
    connection: sqlite3.Connection,
    file: LogFile,
    query: LogQuery,
    after: LineId | None,
    before: LineId | None,
) -> Iterator[tuple[Any, ...]]:
    """What fits, newest first, or oldest first after a line."""
    start = start_of(file.day)
    modules = []
    if query.module:
        modules = [name for (name,) in connection.execute("SELECT name FROM modules")]
    words = words_of(query, modules)
    table = "words w CROSS JOIN lines l ON l.line = w.rowid" if words else "lines l"
    key = "w.rowid" if words else "l.line"
    where, values = [], list[Any]()

    def must(condition: str, *given: Any) -> None:
        where.append(condition)
        values.extend(given)

    if words:
        must("words MATCH ?", words)
    if after is not None and after.day == file.day:
        must(f"{key} > ?", after.row)
    if before is not None and before.day == file.day:
        must(f"{key} < ?", before.row)
    if query.since > start:
        must(f"{key} >= ?", query.since - start)
        must("l.line - l.late >= ?", query.since - start)
    if query.until and query.until < start + DAY_MICROS:
        late = connection.execute("SELECT micros FROM late").fetchone()[0]
        must(f"{key} < ?", query.until - start + late)
        must("l.line - l.late < ?", query.until - start)
    for name, value in query.exact().items():
        must(f"l.{name} = ?", value)
    if query.revision:
        must("l.revision = ?", query.revision)
    if query.level:
        must("l.level >= ?", level_number(query.level))
    if query.module:
        must("(l.module = ? OR substr(l.module, 1, ?) = ?)",
             query.module, len(query.module) + 1, f"{query.module}.")  # fmt: skip
    order = "ASC" if query.after else "DESC"
    asked = f"SELECT {_COLUMNS} FROM {table}"
    if where:
        asked += f" WHERE {' AND '.join(where)}"
    return connection.execute(f"{asked} ORDER BY {key} {order}", values)


def _line(day: date, row: tuple[Any, ...], store: str) -> LogLine:
    (
        number,
        level,
        module,
        event,
        agent,
        revision,
        command,
        correlation,
        host,
        trace,
        facts,
        late,
    ) = row
    return LogLine(
        id=str(LineId(day, number)),
        time=start_of(day) + number - late,
        level=level_name(level),
        module=module,
        event=event,
        agent=agent or "",
        revision=revision or 0,
        command=command or "",
        correlation=correlation or "",
        host=host or "",
        trace=trace or "",
        facts=msgspec.json.decode(facts) if facts else {},
        store=store,
    )
