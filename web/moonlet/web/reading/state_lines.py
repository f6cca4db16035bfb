"""A state as lines: one for each key and item, what changed marked with what stood there before.

Values are written here, as JSON has them: a browser would round large numbers.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from moonlet.replay.changes import Change, Path, parse_path, show
from moonlet.web.reading.rows import brief, cut

LINES_MAX: Final = 5_000
"""Lines of one state; beyond, it is said how many there are not."""

VALUE_MAX: Final = 400
"""Characters of one value."""


class StateText(msgspec.Struct, frozen=True):
    """One line: `mark` is `+`, `~`, `-`, or `.` for what holds something changed; `count` of what
    is inside, -1 for a leaf. `before` is what stood there.
    """

    depth: int
    label: str
    path: str
    text: str
    mark: str
    before: str
    count: int


def state_text(value: Any, changed: Sequence[Change] = ()) -> tuple[list[StateText], bool]:
    """The lines from the root down, and whether some were left out. What is gone stands first."""
    marks = {parse_path(each.path): each for each in changed if each.kind != "removed"}
    holds = {path[:length] for path in marks for length in range(len(path))}
    lines = [
        StateText(
            0, show(parse_path(each.path)), each.path, "", "-", brief(each.old, VALUE_MAX), -1
        )
        for each in changed
        if each.kind == "removed"
    ][:LINES_MAX]
    waiting: list[tuple[Path, Any, str]] = [((), value, "")]
    while waiting:
        path, held, above = waiting.pop()
        if len(lines) >= LINES_MAX:
            return lines, True
        change = marks.get(path)
        mark, before = above, ""
        if change is not None:
            mark = "+" if change.kind == "added" else "~"
            before = brief(change.old, VALUE_MAX) if change.kind == "changed" else ""
        elif not mark and path in holds:
            mark = "."
        inner: list[tuple[Path, Any]] = []
        if isinstance(held, dict):
            inner = [((*path, key), each) for key, each in held.items()]
        elif isinstance(held, list):
            inner = [((*path, number), each) for number, each in enumerate(held)]
        text = brief(held, VALUE_MAX) if not inner else ("{}" if isinstance(held, dict) else "[]")
        count = len(inner) if inner else -1
        label = "state" if not path else cut(str(path[-1]), 100)
        lines.append(StateText(len(path), label, show(path), text, mark, before, count))
        below = mark if mark in ("+", "~") else ""
        waiting += [(*each, below) for each in reversed(inner)]
    return lines, False
