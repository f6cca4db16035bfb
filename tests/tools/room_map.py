"""The map in docs/architecture.md, a picture and a list: `python -m tests.tools.room_map` draws it.

A room is a package. The picture shows who imports whom, without the arrows that follow from others
(if a imports b and b imports c, an arrow from a to c tells nothing new about who lies below whom).
The list says what a room is, in the first sentence of its `__init__`.
"""

import ast
import re
from collections import defaultdict
from pathlib import Path
from typing import Final

from tests.tools import rooms, tree

PAGE: Final = Path("docs/architecture.md")
OPENED: Final = ("moonlet.agents", "moonlet.projections")
"""The packages whose own rooms the picture shows."""
LAYERS: Final = (
    "core",
    "telemetry",
    "streams",
    "agents",
    "projections",
    "simulations",
    "replay",
    "satellites",
    "web",
    "console",
)
PICTURE: Final = ("<!-- picture: drawn by python -m tests.tools.room_map -->", "<!-- /picture -->")
LIST: Final = ("<!-- list: written by python -m tests.tools.room_map -->", "<!-- /list -->")


def arrows_between(package: str) -> dict[str, set[str]]:
    """The packages in `package` (its own modules left out) → those of them that they import."""
    inside = package + "."
    packages = set(tree.packages())
    found: dict[str, set[str]] = defaultdict(set)
    for module, targets in rooms.of_the_tree().items():
        here = inside + module.removeprefix(inside).partition(".")[0]
        if module.startswith(inside) and here in packages:
            there = {inside + name.removeprefix(inside).partition(".")[0] for name in targets}
            found[here] |= {name for name in there if name in packages and name != here}
    return dict(sorted(found.items()))


def without_what_follows(arrows: dict[str, set[str]]) -> dict[str, list[str]]:
    """The transitive reduction: a target that another target leads to is left out."""
    below = {node: _below(node, arrows) for node in arrows}
    return {
        node: sorted(
            target
            for target in targets
            if not any(target in below[other] for other in targets if other != target)
        )
        for node, targets in arrows.items()
    }


def _below(node: str, arrows: dict[str, set[str]]) -> set[str]:
    found: set[str] = set()
    left = [node]
    while left:
        new = arrows.get(left.pop(), set()) - found
        found |= new
        left += new
    return found


def picture() -> str:
    """All of it for Mermaid, which GitHub shows as a picture."""
    lines = ["flowchart TB", *_nodes("moonlet", "  ")]
    for package in OPENED:
        lines += [f"  subgraph {_id(package)}", *_nodes(package, "    "), "  end"]
    return "\n".join(lines)


def _nodes(package: str, margin: str) -> list[str]:
    lines = []
    for node, targets in without_what_follows(arrows_between(package)).items():
        name = node.rpartition(".")[2]
        shown = _id(node) if _id(node) == name else f"{_id(node)}[{name}]"
        lines.append(
            margin + " --> ".join([shown, " & ".join(map(_id, targets))][: 1 + bool(targets)])
        )
    return lines


def _id(package: str) -> str:
    return package.removeprefix("moonlet.").replace(".", "_")


def listed() -> str:
    """A table of all rooms, from the lowest layer to the highest."""
    inits = sorted(tree.packages().values(), key=lambda path: (_layer(path), path.parts))
    rows = [f"| `{path.parent}` | {_first_sentence(path)} |" for path in inits]
    return "\n".join(("| room | what is in it |", "|---|---|", *rows))


def _layer(path: Path) -> int:
    return LAYERS.index(path.parts[0])


def _first_sentence(path: Path) -> str:
    text = " ".join((ast.get_docstring(ast.parse(tree.read(path))) or "").split())
    return re.split(r"(?<=[^.]\.) ", text)[0].replace("|", "\\|")


def drawn(page: str) -> str:
    """The page with the picture and the list of today between their marks."""
    page = _between(page, PICTURE, f"```mermaid\n{picture()}\n```")
    return _between(page, LIST, listed())


def _between(page: str, marks: tuple[str, str], text: str) -> str:
    before, begin, rest = page.partition(marks[0])
    _, end, after = rest.partition(marks[1])
    assert begin and end, f"the page has no {marks}"
    return f"{before}{begin}\n\n{text}\n\n{end}{after}"


if __name__ == "__main__":
    path = tree.ROOT / PAGE
    path.write_text(drawn(path.read_text(encoding="utf-8")), encoding="utf-8")
