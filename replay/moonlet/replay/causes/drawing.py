"""Causes as pictures: a Mermaid graph, and swimlanes as SVG, time across and a lane per agent.

Time and agents are the axes, so nothing has to be laid out. Every name comes from outside: texts
are escaped.
"""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any, Final

from moonlet.core.commit import Commit
from moonlet.replay.causes.cause import cause_of

LANE: Final = 46
"""Pixels between two agents' lanes."""

WIDTH: Final = 960
"""Pixels from the first commit to the last."""

LEFT: Final = 170
"""Pixels for the agents' names."""

_COLORS: Final = {"accepted": "#2e7d32", "rejected": "#b26a00", "expired": "#b26a00"}


def mermaid(commits: Iterable[Commit[Any]]) -> str:
    """A flow chart of commits, an arrow from each cause to what it caused."""
    known = {(commit.agent, commit.revision): f"c{n}" for n, commit in enumerate(commits)}
    by_name = {(commit.agent, commit.revision): commit for commit in commits}
    lines = ["flowchart LR"]
    for place, node in known.items():
        commit = by_name[place]
        said = _quoted(f"{commit.agent}@{commit.revision} {commit.command.name}")
        mark = "" if commit.outcome == "accepted" else f"<br/>{commit.outcome}"
        lines.append(f'    {node}["{said}{mark}"]')
    for place, node in known.items():
        cause = cause_of(by_name[place])
        origin = known.get((cause.agent, cause.revision)) if cause is not None else None
        if cause is not None and origin is not None:
            lines.append(f"    {origin} -->|{cause.kind}| {node}")
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """As Mermaid wants it inside quotes: its entities are written with `#`."""
    return "".join(
        char if char.isalnum() or char in " /@_-." else f"#{ord(char)};" for char in text
    )


def swimlanes(commits: Sequence[Commit[Any]]) -> str:
    """An SVG picture of the commits: a dot each, curves from causes to what they caused."""
    agents = list(dict.fromkeys(commit.agent for commit in commits))
    first = min((commit.time.micros for commit in commits), default=0)
    span = max((commit.time.micros for commit in commits), default=0) - first or 1
    height = 40 + LANE * len(agents)

    def place(commit: Commit[Any]) -> tuple[int, int]:
        across = LEFT + 20 + (commit.time.micros - first) * WIDTH // span
        return across, 40 + LANE * agents.index(commit.agent)

    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + 60}" height="{height}"'
        ' font-family="system-ui, sans-serif" font-size="12">',
        f"<title>{len(commits)} commits of {len(agents)} agents in {span / 1_000:g} ms</title>",
    ]
    for number, agent in enumerate(agents):
        y = 40 + LANE * number
        lines.append(f'<text x="8" y="{y + 4}">{escape(agent)}</text>')
        lines.append(
            f'<line x1="{LEFT}" y1="{y}" x2="{LEFT + WIDTH + 40}" y2="{y}" stroke="#ccc"/>'
        )
    known = {(commit.agent, commit.revision): commit for commit in commits}
    for commit in commits:
        cause = cause_of(commit)
        origin = known.get((cause.agent, cause.revision)) if cause is not None else None
        if origin is None:
            continue
        (x1, y1), (x2, y2) = place(origin), place(commit)
        middle = (x1 + x2) // 2
        lines.append(
            f'<path d="M{x1},{y1} C{middle},{y1} {middle},{y2} {x2},{y2}" fill="none"'
            ' stroke="#888"/>'
        )
    for commit in commits:
        x, y = place(commit)
        color = _COLORS.get(commit.outcome, "#b71c1c")
        told = f"{commit.agent}@{commit.revision} {commit.command.name}: {commit.outcome}"
        lines.append(
            f'<circle cx="{x}" cy="{y}" r="5" fill="{color}"><title>{escape(told)}</title></circle>'
        )
        lines.append(f'<text x="{x + 7}" y="{y - 7}">{escape(commit.command.name)}</text>')
    lines.append("</svg>")
    return "\n".join(lines) + "\n"
