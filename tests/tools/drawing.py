"""Mermaid's flowcharts, as far as our pages use them, as SVG: the site draws without a script.

Nodes stand in rows: each below all that leads to it. Read are `a[name] --> b & c`, `a`, and
`subgraph a` to `end`, which becomes a picture of its own.
"""

import html
import re
from typing import Final

WIDTH: Final = 760
ROW: Final = 72
BOX: Final = 28


def svg(flowchart: str) -> str:
    """All pictures of a flowchart, the outer one first, each under its name."""
    pictures: dict[str, list[str]] = {"": []}
    inside = ""
    for line in map(str.strip, flowchart.strip().splitlines()[1:]):
        if line.startswith("subgraph "):
            inside = line.removeprefix("subgraph ")
        elif line == "end":
            inside = ""
        else:
            pictures.setdefault(inside, []).append(line)
    return "\n".join(_svg(name, lines) for name, lines in pictures.items())


def _svg(name: str, lines: list[str]) -> str:
    names: dict[str, str] = {}
    arrows: list[tuple[str, str]] = []
    for line in lines:
        left, _, right = line.partition(" --> ")
        match = re.fullmatch(r"(\w+)(?:\[(.+)\])?", left)
        assert match, f"not read: {line}"
        names[match[1]] = match[2] or match[1]
        targets = right.split(" & ") if right else []
        arrows += [(match[1], target) for target in targets]
    for node in [target for _, target in arrows]:
        names.setdefault(node, node)
    places = _places(list(names), arrows)
    height = ROW * (1 + max(y for _, y in places.values()))
    shapes = [
        f'<line x1="{x1}" y1="{y1 * ROW + 20 + BOX}" x2="{x2}" y2="{y2 * ROW + 20}"'
        ' marker-end="url(#tip)"/>'
        for (x1, y1), (x2, y2) in ((places[a], places[b]) for a, b in arrows)
    ]
    for node, (x, y) in places.items():
        width = 16 + 8 * len(names[node])
        shapes.append(
            f'<rect x="{x - width // 2}" y="{y * ROW + 20}" width="{width}" height="{BOX}" rx="5"'
            ' fill="var(--md-default-bg-color, white)"/>'
            f'<text x="{x}" y="{y * ROW + 39}" text-anchor="middle" stroke="none"'
            f' fill="currentColor" font-size="14">{html.escape(names[node])}</text>'
        )
    title = f"<p>Inside <code>{html.escape(name)}</code>:</p>" if name else ""
    return (
        f'{title}<svg viewBox="0 0 {WIDTH} {height}" role="img" fill="none" stroke="currentColor"'
        ' xmlns="http://www.w3.org/2000/svg"><defs><marker id="tip" refX="8" refY="4"'
        ' markerWidth="8" markerHeight="8" orient="auto"><path d="M0 0 8 4 0 8z"'
        f' fill="currentColor" stroke="none"/></marker></defs>{"".join(shapes)}</svg>'
    )


def _places(nodes: list[str], arrows: list[tuple[str, str]]) -> dict[str, tuple[int, int]]:
    """Node → the middle of its box across, and its row from the top."""
    row = dict.fromkeys(nodes, 0)
    for _ in nodes:  # a path has at most as many steps as there are nodes, unless it is a circle
        for above, below in arrows:
            row[below] = max(row[below], row[above] + 1)
    assert max(row.values()) < len(nodes), "arrows in a circle can't be drawn in rows"
    rows: dict[int, list[str]] = {}
    for node in nodes:
        rows.setdefault(row[node], []).append(node)
    places: dict[str, tuple[int, int]] = {}
    for number, here in sorted(rows.items()):
        across = {  # below the middle of those above it, so that fewer arrows cross
            node: [places[above][0] for above, below in arrows if below == node] for node in here
        }
        here.sort(key=lambda node: sum(across[node]) / max(1, len(across[node])))
        for place, node in enumerate(here):
            places[node] = (WIDTH * (2 * place + 1) // (2 * len(here)), number)
    return places
