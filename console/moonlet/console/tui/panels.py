"""What stands beside the commits, as lines: what changed, why, and what followed."""

from collections.abc import Sequence
from typing import NamedTuple

from moonlet.console.replay import ENDS, line, origin
from moonlet.core.ids import AgentId
from moonlet.replay import Followed, WhyStep, changes, plain_state
from moonlet.replay.stepping import Stepper

Target = tuple[AgentId, int]


class Panel(NamedTuple):
    """Lines, and for each the agent and revision that Enter opens; None if there is nothing."""

    lines: list[str]
    points: list[Target | None]


async def change_panel(stepper: Stepper, mark: int | None) -> Panel:
    """What the commit changed, or what is otherwise than at the mark."""
    here = stepper.here
    before = max(0, here.revision - 1) if mark is None else mark
    old = await stepper.timeline.at(before)
    found = changes(plain_state(old.state), plain_state(here.state))
    lines = [f"from @{before} to @{here.revision}: {len(found) or 'no'} changes"]
    lines += [str(each) for each in found]
    return Panel(lines, [None] * len(lines))


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
