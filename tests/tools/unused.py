"""Definitions that nothing uses: `python -m tests.tools.unused` names them.

A private name of a module (`_name`) must be read in that module, a private member of a class in the
product, and what is public in the product, the tests or the examples; a string with that name
counts. Names are all that is compared, so what shares its name with something used is missed. What
others use unseen stands in `KNOWN`. Locals, arguments and imports are ruff's business; the fields
of a class are stored data, which may be there for readers alone.
"""

import ast
import functools
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.tools import tree

KNOWN: Final = {
    "asyncio, of loops and tasks": {
        "_asyncgen_finalizer_hook",
        "_process_events",
        "_timer_handle_cancelled",
        "_write_to_self",
        "default_exception_handler",
        "shutdown_default_executor",
    },
    "asyncio, of handles": {"_repr", "_source_traceback", "_when"},
    "asyncio, of transports and servers": {
        "can_write_eof",
        "get_protocol",
        "is_reading",
        "pause_reading",
        "set_protocol",
        "start_serving",
    },
    "hatch, of its hooks": {"PageHook", "PLUGIN_NAME", "initialize"},
    "textual, of apps, screens and widgets": {
        "CSS",
        "ENABLE_COMMAND_PALETTE",
        "TITLE",
        "action_ask_point",
        "action_ask_stop",
        "action_ask_words",
        "action_change",
        "action_filter",
        "action_help",
        "action_mark",
        "action_move",
        "action_open",
        "action_other_side",
        "action_page",
        "action_same",
        "action_slide",
        "action_to",
        "compose",
        "on_input_submitted",
        "on_mount",
        "on_resize",
        "on_unmount",
        "on_line_list_chosen",
        "on_line_list_cursor_moved",
        "render_line",
    },
    "nats-py": {"_pings_outstanding", "_pongs_received", "_process_pong", "_ps"},
}
"""Who uses it → names: overrides, and attributes that another library reads."""

THIS: Final = Path("tests/tools/unused.py")
"""Left out, since it names what it leaves out."""

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True)
class Definition:
    """A name that is defined at a line, as a member of a class or not."""

    name: str
    line: int
    member: bool


def definitions(module: ast.Module) -> Iterator[Definition]:
    """Functions, classes and methods, constants of module and class, attributes of `self`.

    A function under a decorator of an object (`@account.on_command`, `@app.command()`) was handed
    over to it, and is used.
    """
    members = {
        id(node)
        for outer in ast.walk(module)
        if isinstance(outer, ast.ClassDef)
        for node in outer.body
    }
    for node in ast.walk(module):
        if isinstance(node, _FUNCTIONS):
            if not any(map(_hands_over, node.decorator_list)):
                yield Definition(node.name, node.lineno, id(node) in members)
        elif isinstance(node, ast.ClassDef):
            yield Definition(node.name, node.lineno, id(node) in members)
            yield from _constants(node.body, True)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            if isinstance(node.value, ast.Name) and node.value.id == "self":
                yield Definition(node.attr, node.lineno, True)
    yield from _constants(module.body, False)


def _constants(body: list[ast.stmt], member: bool) -> Iterator[Definition]:
    for node in body:
        targets: list[ast.expr] = []
        if isinstance(node, ast.Assign):
            targets = node.targets
        elif isinstance(node, ast.AnnAssign) and "Final" in ast.unparse(node.annotation):
            targets = [node.target]
        for target in targets:
            if isinstance(target, ast.Name):
                yield Definition(target.id, node.lineno, member)


def _hands_over(decorator: ast.expr) -> bool:
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    return isinstance(called, ast.Attribute) and called.attr not in {"setter", "cache"}


def uses(module: ast.Module) -> set[str]:
    """Names and attributes that are read, what is imported, and strings that could be names."""
    found: set[str] = set()
    for node in ast.walk(module):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Store):
            found.add(node.attr)
        elif isinstance(node, ast.ImportFrom):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.keyword) and node.arg is not None:
            found.add(node.arg)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found |= {part for part in node.value.split(".") if part.isidentifier()}
    return found


@functools.cache
def _facts(text: str) -> tuple[tuple[Definition, ...], frozenset[str]]:
    module = ast.parse(text)
    return tuple(definitions(module)), frozenset(uses(module))


def unused(
    product: Mapping[str, str], others: Iterable[str] = (), known: frozenset[str] = frozenset()
) -> list[str]:
    """`file:line: name` of what the product's files (name → text) define and nobody uses."""
    facts = {file: _facts(text) for file, text in product.items()}
    used = set[str]().union(*(uses for _, uses in facts.values()))
    anywhere = used.union(*(_facts(text)[1] for text in others))
    found = set()
    for file, (defines, own) in facts.items():
        for defined in defines:
            name = defined.name
            if name.startswith("__") and name.endswith("__"):
                continue
            seen: set[str] | frozenset[str] = anywhere
            if name.startswith("_"):
                seen = used if defined.member else own
            if name not in seen and name not in known:
                found.add((file, defined.line, name))
    return [f"{file}:{line}: {name}" for file, line, name in sorted(found)]


def of_the_tree(known: frozenset[str] = frozenset().union(*KNOWN.values())) -> list[str]:
    """What nothing uses in this checkout, apart from the names that are known."""
    files = [path for path in tree.tracked_with(".py") if path != THIS]
    product = {str(path): tree.read(path) for path in files if path.parts[0] in tree.SOURCE_ROOTS}
    return unused(product, [tree.read(path) for path in files if str(path) not in product], known)


if __name__ == "__main__":
    found = of_the_tree()
    print("\n".join(found) or "nothing is unused")
    sys.exit(bool(found))
