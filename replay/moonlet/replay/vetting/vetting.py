"""Vetting: the code of handlers and of what they reach, read and not run.

It finds what it can see: names that stand for a clock, chance, I/O or a module's variables, and
changes of the state in place, also through aliases and helpers. What comes by an argument or is
made at run time it can't see; the guard of simulated worlds, and `replay`, see that.
"""

import ast
import inspect
import sys
import types
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, Final

from moonlet.agents import AgentType
from moonlet.replay.vetting.impure import MUTATORS, full_name, kind_of
from moonlet.replay.vetting.impurity import Impurity, Kind

FUNCTIONS_MAX: Final = 10_000
"""Functions that one agent type's handlers may reach; what lies beyond is not looked at."""

_LIBRARIES: Final = sys.stdlib_module_names | {"msgspec", "pydantic", "pydantic_core", "numpy"}


def vet(agent_type: AgentType[Any]) -> list[Impurity]:
    """What is impure in a type's handlers of commands, events and queries, and its initial state.

    Sorted by file and line, each place once. `on_perform` may do what it likes.
    """
    behavior = agent_type.behavior
    roots: list[tuple[str, Any, bool]] = []
    for kind, handlers in (
        ("command handler", behavior.commands.values()),
        ("event handler", behavior.events.values()),
        ("query handler", agent_type.queries.values()),
    ):
        roots += [(kind, inspect.unwrap(each.function), True) for each in handlers]
    roots.append(("initial state", behavior.initial, False))
    found: dict[tuple[str, int, str], Impurity] = {}
    for kind, function, of_state in roots:
        if not isinstance(function, types.FunctionType) or _is_library(function.__module__):
            continue
        parameters = list(inspect.signature(function).parameters)
        held = frozenset(parameters[:1]) if of_state else frozenset()
        name = f"{kind} {agent_type.name}.{function.__name__}"
        for each in _reached(function, held, name):
            found.setdefault((each.file, each.line, each.what), each)
    return sorted(found.values())


def _is_library(module: str | None) -> bool:
    root = (module or "builtins").partition(".")[0]
    ours = (module or "").startswith("moonlet.") and not (module or "").startswith(
        "moonlet.satellites"
    )
    return root in _LIBRARIES or root == "builtins" or ours


def _reached(
    function: types.FunctionType, held: frozenset[str], handler: str
) -> Iterator[Impurity]:
    waiting = [(function, held)]
    seen: set[tuple[Any, frozenset[str]]] = set()
    while waiting and len(seen) < FUNCTIONS_MAX:
        here, holding = waiting.pop()
        if (here.__code__, holding) in seen:
            continue
        seen.add((here.__code__, holding))
        node = _node_of(here)
        if node is None:
            continue
        look = _Look(here, node, holding)
        via = "" if here is function else here.__qualname__
        file = here.__code__.co_filename
        for line, kind, what in look.found:
            yield Impurity(file, line, kind, what, handler, via)
        waiting += look.reached


@lru_cache(maxsize=256)
def _tree_of(file: str) -> ast.Module | None:
    try:
        with open(file, encoding="utf-8") as source:
            return ast.parse(source.read())
    except (OSError, SyntaxError, ValueError):
        return None  # made at run time: there is nothing to read


def _node_of(function: types.FunctionType) -> ast.AST | None:
    """The syntax of a function, found by where it begins."""
    tree = _tree_of(function.__code__.co_filename)
    if tree is None:
        return None
    line, name = function.__code__.co_firstlineno, function.__code__.co_name
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == name:
            first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
            if line in (first, node.lineno):
                return node
        if isinstance(node, ast.Lambda) and name == "<lambda>" and node.lineno == line:
            return node
    return None


class _Look:
    """One function: what is impure in it, and which other functions it reaches.

    `holding` are the names that stand for the state, or a part of it; what is assigned from them
    joins them.
    """

    def __init__(
        self, function: types.FunctionType, node: ast.AST, holding: frozenset[str]
    ) -> None:
        self.found: list[tuple[int, Kind, str]] = []
        self.reached: list[tuple[types.FunctionType, frozenset[str]]] = []
        self._names = _names_of(function)
        self._held = set(holding)
        self._own = _local_names(node)
        for each in ast.walk(node):
            self._hold(each)
        for each in ast.walk(node):
            self._see(each)

    def _hold(self, node: ast.AST) -> None:
        """Aliases: `items = state.items`, `for item in state.items`."""
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if self._is_held(value):
                self._held.add(name)
            case ast.NamedExpr(target=ast.Name(id=name), value=value) if self._is_held(value):
                self._held.add(name)
            case ast.For(target=ast.Name(id=name), iter=value) if self._is_held(value):
                self._held.add(name)
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value) if (
                self._is_held(value)
            ):
                self._held.add(name)

    def _is_held(self, node: ast.AST) -> bool:
        """Whether an expression is the state or a part of it, and no copy."""
        while isinstance(node, ast.Attribute | ast.Subscript):
            node = node.value
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            part = node.func.attr in ("get", "values", "items", "setdefault")
            return part and self._is_held(node.func.value)
        return isinstance(node, ast.Name) and node.id in self._held

    def _see(self, node: ast.AST) -> None:
        match node:
            case ast.Call():
                self._call(node)
            case ast.Assign(targets=targets):
                for target in targets:
                    self._changed(target)
            case ast.AugAssign(target=target) | ast.AnnAssign(target=target):
                self._changed(target)
                if isinstance(node, ast.AugAssign) and isinstance(target, ast.Name):
                    # A number that is added to is a new one; a list is not.
                    several = isinstance(node.value, ast.List | ast.Set | ast.Dict | ast.ListComp)
                    if target.id in self._held and several:
                        self._note(target, "in-place change", f"{target.id} is changed in place")
            case ast.Delete(targets=targets):
                for target in targets:
                    self._changed(target)
            case ast.Global(names=names):
                self._note(node, "global state", f"{', '.join(names)} of the module is changed")
            case ast.Attribute() if isinstance(node.ctx, ast.Load):
                name = full_name(self._value(node))
                if name == "os.environ" or ast.unparse(node) == "os.environ":
                    self._note(node, "I/O", "os.environ is read")

    def _note(self, node: ast.AST, kind: Kind, what: str) -> None:
        self.found.append((getattr(node, "lineno", 0), kind, what))

    def _changed(self, target: ast.expr) -> None:
        """`state.x = ...`, `state.items[k] = ...`, `TABLE[k] = ...`."""
        if isinstance(target, ast.Tuple | ast.List):
            for each in target.elts:
                self._changed(each)
        if not isinstance(target, ast.Attribute | ast.Subscript):
            return
        if self._is_held(target):
            self._note(target, "in-place change", f"{ast.unparse(target)} is changed in place")
        elif self._is_global(target):
            self._note(target, "global state", f"{ast.unparse(target)} is changed")

    def _is_global(self, node: ast.AST) -> bool:
        """Whether an expression hangs on a variable of the module."""
        while isinstance(node, ast.Attribute | ast.Subscript):
            node = node.value
        return isinstance(node, ast.Name) and node.id not in self._own and node.id in self._names

    def _call(self, node: ast.Call) -> None:
        function = node.func
        value = self._value(function)
        if value is None and isinstance(function, ast.Attribute) and function.attr in MUTATORS:
            said = f"{ast.unparse(function)}(...)"
            if self._is_held(function.value):
                self._note(node, "in-place change", f"{said} changes the state in place")
            return
        if isinstance(function, ast.Attribute) and function.attr in MUTATORS:
            owner = self._value(function.value)
            mutable = isinstance(owner, list | dict | set) or hasattr(owner, "popleft")
            if mutable and self._is_global(function.value):
                said = f"{ast.unparse(function)}(...)"
                self._note(node, "global state", f"{said} changes a variable of the module")
                return
        name = full_name(value) if value is not None else ""
        kind = kind_of(name)
        if kind is not None:
            self._note(node, kind, f"{ast.unparse(function)}() is called")
        elif isinstance(value, types.FunctionType) and not _is_library(value.__module__):
            self._follow(inspect.unwrap(value), node.args)
        elif isinstance(value, type) and not _is_library(value.__module__):
            for made in ("__init__", "__post_init__"):
                method = vars(value).get(made)
                if isinstance(method, types.FunctionType):
                    self._follow(method, [])

    def _follow(self, function: Any, arguments: Iterable[ast.expr]) -> None:
        if not isinstance(function, types.FunctionType):
            return
        names = list(inspect.signature(function).parameters)
        held = {name for name, given in zip(names, arguments, strict=False) if self._is_held(given)}
        self.reached.append((function, frozenset(held)))

    def _value(self, node: ast.AST) -> Any:
        """What a dotted name stands for, if it is a global's; None if that can't be told."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name) or node.id in self._own:
            return None
        value = self._names.get(node.id)
        for part in reversed(parts):
            if not isinstance(value, types.ModuleType | type):
                return None if not isinstance(value, list | dict | set) else value
            value = inspect.getattr_static(value, part, None)
            if isinstance(value, staticmethod | classmethod):
                value = value.__func__
        return value


def _names_of(function: types.FunctionType) -> dict[str, Any]:
    """What a function's free names stand for: closures, globals, builtins."""
    closed = inspect.getclosurevars(function)
    found: dict[str, Any] = {**closed.builtins, **function.__globals__, **closed.nonlocals}
    return found


def _local_names(node: ast.AST) -> set[str]:
    """Names that a function binds itself."""
    own: set[str] = set()
    changed: set[str] = set()
    for each in ast.walk(node):
        if isinstance(each, ast.arg):
            own.add(each.arg)
        elif isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store):
            own.add(each.id)
        elif isinstance(each, ast.Global):
            changed.update(each.names)
    return own - changed
