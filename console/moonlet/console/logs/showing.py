"""Lines of logs for people, and the way from a line to its commit."""

import shlex
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from moonlet.console.common import compact
from moonlet.telemetry.kept import LogLine

_COLOURS: Final = {"warning": "33", "error": "31", "critical": "31;1", "debug": "2"}


def written(line: LogLine, *, colours: bool) -> str:
    """A line, and below it what does not fit one: tracebacks, texts of several lines."""
    level = f"{line.level:<8}"
    if colours and line.level in _COLOURS:
        level = f"\x1b[{_COLOURS[line.level]}m{level}\x1b[0m"
    words = [moment(line.time), level, line.event]
    if line.agent:
        words.append(f"{line.agent}@{line.revision}" if line.revision else line.agent)
    below = []
    for name, value in line.facts.items():
        if isinstance(value, str) and "\n" in value:
            below += [f"    {part}" for part in value.splitlines()]
        else:
            told = value if isinstance(value, str) and value and " " not in value else None
            words.append(f"{name}={told if told is not None else compact(value)}")
    words += [
        f"{name}={getattr(line, name)}" for name in ("command", "host") if getattr(line, name)
    ]
    words.append(f"[{line.module.removeprefix('moonlet.')}]")
    return "\n".join(["  ".join(words), *below])


def recorded(line: LogLine) -> dict[str, Any]:
    """The same as data, with the commands that lead to its commit."""
    record: dict[str, Any] = msgspec.to_builtins(line)
    return {**record, "at": f"{stamp(line.time)}Z", "commands": jumps(line)}


def jumps(line: LogLine) -> list[str]:
    """What to type to see the commit that a line is about; nothing if it names none."""
    if line.agent and line.revision:
        point = f"{line.agent}@{line.revision}"
    elif line.command:
        point = line.command
    elif line.agent:
        at = f"{line.agent}@{stamp(line.time)}"
        return [
            shlex.join(["moonlet", "state", at]),
            shlex.join(["moonlet", "history", line.agent]),
        ]
    else:
        return []
    return [shlex.join(["moonlet", verb, point]) for verb in ("why", "state", "effects")]


def stamp(micros: int) -> str:
    """`2026-12-01T14:18:56.828123`, UTC."""
    when = datetime.fromtimestamp(micros // 1_000_000, UTC).replace(microsecond=micros % 1_000_000)
    return when.strftime("%Y-%m-%dT%H:%M:%S.%f")


def moment(micros: int) -> str:
    """The same for people, in milliseconds."""
    return stamp(micros)[:-3].replace("T", " ")
