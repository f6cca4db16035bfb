"""Doors that open late: a package's names are imported when one of them is asked for.

A command looks at one room of many and is over in half a second; importing all the others would
take most of that. What is where stands in the door's own text, under `if TYPE_CHECKING:`, so that
people, type checkers and this read the same lines.
"""

import ast
import importlib
import inspect
import sys
from collections.abc import Callable
from typing import Any


def late(door: str) -> Callable[[str], Any]:
    """The `__getattr__` of a package: imports what its `if TYPE_CHECKING:` names, once each."""
    places: dict[str, tuple[str, str]] = {}

    def find(name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(f"module {door!r} has no attribute {name!r}")
        module = sys.modules[door]
        if not places:
            places.update(_named(ast.parse(inspect.getsource(module))))
        if name not in places:
            raise AttributeError(f"module {door!r} has no attribute {name!r}")
        room, there = places[name]
        found = getattr(importlib.import_module(room), there)
        setattr(module, name, found)
        return found

    return find


def _named(tree: ast.Module) -> dict[str, tuple[str, str]]:
    """Name → the module it is in, and its name there."""
    guarded = [
        each
        for node in tree.body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for each in node.body
        if isinstance(each, ast.ImportFrom) and each.module is not None
    ]
    return {
        alias.asname or alias.name: (each.module or "", alias.name)
        for each in guarded
        for alias in each.names
    }
