"""What a command prints: text for people, or with `--json` one JSON object a line.

Results go to stdout; remarks, progress and errors to stderr, so that a pipe gets results alone.
"""

import re
import sys
import traceback
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
import typer

from moonlet.console.common.exits import exit_code
from moonlet.core.errors import MoonletError

_OBEYED: Final = re.compile(
    r"(\x1b\[[0-9;]*m)|[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""Colours, which are ours; and what else a terminal would obey, or could not show."""


class Output:
    """The way out of one command. Of texts for people nothing but colours is obeyed by a terminal:

    names, reasons and errors may come from anybody.
    """

    def __init__(self, *, json: bool) -> None:
        self.json = json

    def result(self, record: Mapping[str, Any], text: str) -> None:
        """One result: the JSON object, or the text in its place."""
        line = msgspec.json.encode(record).decode() if self.json else _inert(text)
        typer.echo(line)

    def remark(self, text: str) -> None:
        """Something beside the results; not said with `--json`."""
        if not self.json:
            typer.echo(_inert(text), err=True)

    def failure(self, error: MoonletError, *, debug: bool) -> None:
        """The one message of a command that could not be done."""
        if debug:
            traceback.print_exception(error, file=sys.stderr)
        if self.json:
            facts = {"error": type(error).__name__, "message": str(error), **_facts(error)}
            line = msgspec.json.encode({**facts, "exit": exit_code(error)}).decode()
            typer.echo(line, err=True)
            return
        name = typer.style(type(error).__name__, fg="red", bold=True)
        typer.echo(f"{name}: {_inert(str(error))}", err=True)


def _inert(text: str) -> str:
    """What a terminal would obey is written as Python writes it; lines and tabs stay."""
    return _OBEYED.sub(lambda found: found[1] or repr(found[0])[1:-1], text)


def _facts(error: MoonletError) -> dict[str, Any]:
    """The attributes that the error carries beside its message."""
    return {key: value for key, value in vars(error).items() if not key.startswith("_")}


def compact(value: Any) -> str:
    """Plain data as JSON on one line."""
    return msgspec.json.encode(value).decode()


def pretty(value: Any) -> str:
    """Plain data as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


def counted(count: int, noun: str) -> str:
    """`1 agent`, `1,034 agents`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def table(rows: Sequence[tuple[str, ...]], *, right: tuple[int, ...] = ()) -> list[str]:
    """Rows as aligned lines; the columns in `right` are aligned to the right."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if index in right else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
