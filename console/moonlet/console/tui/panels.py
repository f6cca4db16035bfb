"""What stands beside the commits, as lines: a state, what changed, a commit, causes."""

from collections.abc import Sequence, Set
from typing import Any, NamedTuple

from rich.cells import chop_cells

from moonlet.console.common import pretty
from moonlet.console.replay import ENDS, in_words, line, origin
from moonlet.console.tui.printable import printable
from moonlet.console.tui.state_lines import LINES_MAX, StateLine, state_lines
from moonlet.core.commit import Commit
from moonlet.core.errors import Invalid
from moonlet.core.ids import AgentId
from moonlet.replay import (
    NOTHING,
    Followed,
    StateAt,
    WhyStep,
    changes,
    inside,
    plain_state,
)
from moonlet.replay.changes import Path
from moonlet.replay.changes import show as show_path

Target = tuple[AgentId, int]


class Panel(NamedTuple):
    """Lines; of causes also what Enter opens on each, and of a state each line's place in it."""

    lines: Sequence[str]
    points: Sequence[Target | None] = ()
    places: Sequence[StateLine] = ()


def text_panel(text: str, width: int) -> Panel:
    """A text from outside in lines of `width` cells, as many as there is room for."""
    lines: list[str] = []
    for each in text.splitlines() or [""]:
        shown = printable(each, LINES_MAX * max(1, width))
        if shown.isascii():
            lines += [shown[at : at + width] for at in range(0, len(shown), width)] or [""]
        else:
            lines += chop_cells(shown, width) or [""]
        if len(lines) > LINES_MAX:
            lines[LINES_MAX:] = [f"… more than {LINES_MAX:,} lines"]
            break
    return Panel(lines)


def value_panel(here: StateAt, path: Path, width: int) -> Panel:
    """One value of a state, whole; raises `Invalid` if there is none."""
    value = inside(plain_state(here.state), path)
    if value is NOTHING:
        raise Invalid(f"there is no {show_path(path)} at this revision")
    text = value if isinstance(value, str) else pretty(value)
    return text_panel(f"{show_path(path)} ({len(text):,} characters)\n{text}", width)


def commit_panel(commit: Commit[Any], stack: str, width: int) -> Panel:
    """A commit, whole: command, outcome, events, effects, reply, and a parked one's traceback."""
    command = commit.command
    head = f"{commit.agent}@{commit.revision}, sequence {commit.sequence}, command {command.id}"
    words = [line.strip() for line in in_words(commit, stack, styled=False).splitlines()]
    return text_panel("\n".join([head, *words]), width)


def change_panel(before: StateAt, here: StateAt) -> Panel:
    """What is otherwise in the later of two states."""
    found = changes(plain_state(before.state), plain_state(here.state))
    lines = [f"from @{before.revision} to @{here.revision}: {len(found) or 'no'} changes"]
    lines += [str(each) for each in found[:LINES_MAX]]
    if len(found) > LINES_MAX:
        lines.append(f"… {len(found) - LINES_MAX:,} more: see them with `moonlet diff`")
    return Panel(lines)


def state_panel(before: StateAt, here: StateAt, toggled: Set[Path]) -> Panel:
    """A state as a tree, with what its commit changed marked."""
    state = plain_state(here.state)
    places = state_lines(state, changes(plain_state(before.state), state), toggled)
    return Panel([each.text for each in places], places=places)


def cause_panel(chain: Sequence[WhyStep]) -> Panel:
    """From the commit back to what came from outside."""
    lines: list[str] = []
    points: list[Target | None] = []
    for depth, step in enumerate(chain):
        told = origin(step.cause, step.commit)
        if step.missing:
            told += f", which {ENDS[step.missing]}"
        indent = "  " * depth
        lines += [indent + line(step.commit, styled=False), f"{indent}  {told}"]
        target = AgentId.parse(step.commit.agent), step.commit.revision
        points += [target, target]
    return Panel(lines, points)


def effect_panel(root: Followed) -> Panel:
    """The tree of what followed."""
    lines: list[str] = []
    points: list[Target | None] = []
    waiting = [(root, 0)]
    while waiting:
        node, depth = waiting.pop()
        commit = node.commit
        if commit is None:
            lines.append("  " * depth + f"{node.agent} {node.name}: {ENDS[node.missing]}")
            points.append(None)
        else:
            lines.append("  " * depth + line(commit, styled=False))
            points.append((AgentId.parse(commit.agent), commit.revision))
        waiting += [(each, depth + 1) for each in reversed(node.following)]
    return Panel(lines, points)
