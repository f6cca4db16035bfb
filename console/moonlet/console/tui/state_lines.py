"""A state as lines: one for each key and item, folded where somebody wants it, changes marked."""

from collections.abc import Iterable, Set
from typing import Any, Final, NamedTuple

from rich.text import Text

from moonlet.console.tui.printable import printable, value_text
from moonlet.replay import parse_path
from moonlet.replay.changes import Change, Path

LINES_MAX: Final = 20_000
"""Lines of one state; beyond, it says how to see the rest."""

OPEN_TO: Final = 500
"""Items up to which an object or a list is open before anybody has asked."""


class StateLine(NamedTuple):
    """`toggle` says whether something is inside that can be folded away."""

    path: Path
    text: str
    changed: bool
    toggle: bool


def state_lines(state: Any, changed: Iterable[Change], toggled: Set[Path]) -> list[StateLine]:
    """The lines from the root down; `toggled` are the places that are not as they are at first.

    What holds something that changed is marked as well, and is open.
    """
    paths = {parse_path(each.path) for each in changed}
    marked = {path[:length] for path in paths for length in range(len(path) + 1)}
    lines: list[StateLine] = []
    waiting: list[tuple[Path, Any]] = [((), state)]
    while waiting:
        path, value = waiting.pop()
        if len(lines) >= LINES_MAX:
            text = f"… more than {LINES_MAX:,} lines: see one path with `moonlet state … --path`"
            lines.append(StateLine(path, text, False, False))
            break
        mark = path in marked or any(path[: len(each)] == each for each in paths)
        inside = _inside(path, value)
        is_open = (len(inside) <= OPEN_TO or path in marked) is not (path in toggled)
        lines.append(StateLine(path, _line(path, value, inside, is_open), mark, bool(inside)))
        if is_open:
            waiting += reversed(inside)
    return lines


def _inside(path: Path, value: Any) -> list[tuple[Path, Any]]:
    if isinstance(value, dict):
        return [((*path, key), each) for key, each in value.items()]
    if isinstance(value, list):
        return [((*path, index), each) for index, each in enumerate(value)]
    return []


def _line(path: Path, value: Any, inside: list[Any], is_open: bool) -> str:
    name = "state" if not path else f"[{path[-1]}]" if isinstance(path[-1], int) else path[-1]
    head = "  " * len(path) + printable(str(name), 100)
    if not inside:
        return f"{head}: {value_text(value)}"
    kind = "{}" if isinstance(value, dict) else "[]"
    return f"{head} {kind[0]}{len(inside):,}{kind[1]}" if not is_open else head


def styled(line: StateLine) -> Text:
    """The line as it is shown: what changed has a mark, not only a colour."""
    mark = "*" if line.changed else " "
    return Text(f"{mark} {line.text}", style="yellow" if line.changed else "", no_wrap=True, end="")
