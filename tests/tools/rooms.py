"""Measure the rooms of the tree: `python -m tests.tools.rooms` prints what it finds.

Circles of files and of rooms, arrows against the layers, folders that are too full, class names
that mean two things, and what one warm ask passes through (`tests/tools/warm_ask.py`).
`tests/test_rooms.py` holds limits on these numbers.
"""

import ast
import functools
import re
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.tools import tree, warm_ask

MODULES_MAX = 14
"""A folder of more modules than this, its `__init__` apart, is no longer seen at one glance."""

Graph = Mapping[str, frozenset[str]]


def modules() -> dict[str, Path]:
    """Import path → file, of every module under a source root; a package's is its `__init__`."""
    found = {}
    for path in tree.tracked_with(".py"):
        if path.parts[0] in tree.SOURCE_ROOTS:
            parts = path.with_suffix("").parts[1:]
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(text: str, known: Iterable[str]) -> frozenset[str]:
    """The known modules that a source imports anywhere, under TYPE_CHECKING too.

    `from a import b` is an arrow to `a.b` if that is a module, else to `a`. What is only meant for
    types counts: whoever reads the module has to know the other one just as well.
    """
    names = frozenset(known)
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom):
            inner = {alias.name: f"{node.module}.{alias.name}" for alias in node.names}
            found |= {path if path in names else node.module or "" for path in inner.values()}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return frozenset(found & names)


def arrows(files: Mapping[str, Path]) -> Graph:
    """Each module's imports of the others."""
    return {name: imports(tree.read(path), files) - {name} for name, path in sorted(files.items())}


@functools.cache
def of_the_tree() -> Graph:
    """The imports of this checkout."""
    return arrows(modules())


def circles(graph: Graph) -> list[list[str]]:
    """Strongly connected components of more than one node, the largest first (Tarjan 1972)."""
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}
    open_: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        number[node] = lowest[node] = len(number)
        open_.append(node)
        for target in sorted(graph[node]):
            if target not in number:
                visit(target)
                lowest[node] = min(lowest[node], lowest[target])
            elif target in open_:
                lowest[node] = min(lowest[node], number[target])
        if lowest[node] == number[node]:
            start = open_.index(node)
            component = open_[start:]
            del open_[start:]
            if len(component) > 1:
                found.append(sorted(component))

    for node in sorted(graph):
        if node not in number:
            visit(node)
    return sorted(found, key=lambda component: (-len(component), component))


def circles_of_rooms(graph: Graph) -> list[list[str]]:
    """In each package, circles between its sub-packages, and modules beside them, seen as wholes.

    Files may form none where rooms do: a.x -> b.y and b.z -> a.w. Circles of files alone are left
    to `circles`. A package's own `__init__` stands at its door and belongs to no room inside.
    """
    found = []
    for package in sorted({name.rpartition(".")[0] for name in graph} & set(graph)):
        rooms: dict[str, set[str]] = defaultdict(set)
        for name, targets in graph.items():
            if name.startswith(package + "."):
                here = _room(name, package)
                inside = (target for target in targets if target.startswith(package + "."))
                rooms[here] |= {_room(target, package) for target in inside} - {here}
        whole = circles({room: frozenset(targets) for room, targets in rooms.items()})
        inner = {name.rpartition(".")[0] for name in graph}
        found += [circle for circle in whole if inner & set(circle)]
    return found


def past_doors(graph: Graph, packages: Iterable[str]) -> list[str]:
    """Imports of a module inside a room of these packages, from outside that room.

    A room's door is its `__init__`; a module that stands beside the rooms is open to all.
    """
    return sorted(
        f"{name} -> {target}"
        for package in packages
        for name, targets in graph.items()
        for target in targets
        if target.startswith(package + ".")
        and target != _room(target, package)
        and not f"{name}.".startswith(_room(target, package) + ".")
    )


def _room(name: str, package: str) -> str:
    return f"{package}.{name[len(package) + 1 :].partition('.')[0]}"


def against_layers(graph: Graph, contracts: Iterable[Mapping[str, object]]) -> list[str]:
    """Imports that point upwards, or sideways, in a contract of layers (import-linter's form).

    Exceptions of a contract, `ignore_imports`, are not heeded: an arrow that is allowed is one.
    """
    found = set()
    for contract in contracts:
        if contract.get("type") != "layers":
            continue
        containers = contract.get("containers") or [""]
        assert isinstance(containers, list)
        for container in containers:
            height = _heights(contract["layers"], container)
            for name, targets in graph.items():
                for target in targets:
                    here, there = _layer(name, height), _layer(target, height)
                    if here and there and here != there and height[there] <= height[here]:
                        found.add(f"{name} -> {target}")
    return sorted(found)


def _heights(layers: object, container: str) -> dict[str, int]:
    """Layer → how many stand above it: 0 is the top. Siblings (`a | b`) share a height."""
    assert isinstance(layers, list)
    heights = {}
    for place, layer in enumerate(layers):
        for part in re.split(r"[|:]", layer):
            name = part.strip().strip("()")
            heights[f"{container}.{name}" if container else name] = place
    return heights


def _layer(name: str, height: Mapping[str, int]) -> str:
    inside = (layer for layer in height if name == layer or name.startswith(layer + "."))
    return max(inside, key=len, default="")


def contracts() -> list[dict[str, object]]:
    """The contracts of import-linter in `pyproject.toml`."""
    settings = tomllib.loads(tree.read(Path("pyproject.toml")))
    found: list[dict[str, object]] = settings["tool"]["importlinter"]["contracts"]
    return found


def crowded(files: Iterable[Path], most: int = MODULES_MAX) -> dict[str, int]:
    """Folders of more than `most` modules, the fullest first."""
    counts: dict[str, int] = defaultdict(int)
    for path in files:
        counts[str(path.parent)] += path.name != "__init__.py"
    full = {folder: count for folder, count in counts.items() if count > most}
    return dict(sorted(full.items(), key=lambda item: (-item[1], item[0])))


def classes_twice(files: Iterable[Path]) -> dict[str, list[str]]:
    """Names of classes that more than one module defines, with these modules' files.

    The satellites are left out: they are an application, and its messages have names of its own.
    """
    places: dict[str, list[str]] = defaultdict(list)
    for path in sorted(path for path in files if path.parts[0] != "satellites"):
        for node in ast.walk(ast.parse(tree.read(path))):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(str(path))
    return {name: where for name, where in sorted(places.items()) if len(where) > 1}


def report(limit: int = 6) -> str:
    """All numbers, each with the first few places that it counts."""
    files = modules()
    graph = of_the_tree()
    way = warm_ask.measure()
    lines = [f"{len(files)} modules"]
    twice = classes_twice(files.values())
    for what, found in (
        ("circles of files", [" ".join(circle) for circle in circles(graph)]),
        ("circles of rooms", [" ".join(circle) for circle in circles_of_rooms(graph)]),
        ("arrows against the layers", against_layers(graph, contracts())),
        (
            f"folders of more than {MODULES_MAX} modules",
            [f"{folder}: {count}" for folder, count in crowded(files.values()).items()],
        ),
        ("class names that mean two things", [f"{n}: {' '.join(p)}" for n, p in twice.items()]),
    ):
        lines.append(f"{len(found):>3} {what}")
        lines += [f"      {place.replace('moonlet.', '')}" for place in found[:limit]]
        lines += [f"      and {len(found) - limit} more"] if len(found) > limit else []
    lines.append(f"one warm ask passes {len(way.modules)} modules, with {way.switches} switches")
    return "\n".join(lines)


if __name__ == "__main__":
    print(report())
