"""A small language of conditions over plain data: no code runs, no object is reached.

`state.health < 1.1 and command.name == "Sell"`. The grammar is a part of Python's expressions, read
by its parser and walked here: names, `.key`, `[key]`, numbers, texts, lists, comparisons, `and`,
`or`, `not`, `in`, arithmetic, len, abs, min, max, sum, any, all, and `any(X for NAME in ITEMS)`,
which goes over a list, or over an object's values. Text, depth, steps and sizes are bounded. What
is not there, or is of kinds that have no order, makes a comparison false.
"""

import ast
import operator
from collections.abc import Callable
from typing import Any, Final

import msgspec

from moonlet.core.errors import Invalid

TEXT_MAX: Final = 1_000
"""Characters of a condition."""

DEPTH_MAX: Final = 50
"""Expressions inside each other."""

STEPS_MAX: Final = 10_000
"""Expressions that one judgement may come through."""

SIZE_MAX: Final = 2**256
"""Beyond, a whole number is refused: it would take for ever to multiply."""

LENGTH_MAX: Final = 1_000_000
"""Characters of a text, or items, that `+` may make."""


class Names(msgspec.Struct, frozen=True):
    """What a condition may name at one revision; all of it plain data."""

    state: Any
    revision: int
    time: str = ""
    outcome: str = ""
    command: Any = None
    events: Any = None


class Judged(msgspec.Struct, frozen=True):
    """Whether it holds; `missing` if something that it names is not there."""

    holds: bool
    missing: bool


class _Missing:
    pass


_MISSING: Final = _Missing()
_COMPARE: Final[dict[type[ast.cmpop], Callable[[Any, Any], Any]]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda a, b: a in b,
    ast.NotIn: lambda a, b: a not in b,
    ast.Is: lambda a, b: a is b or a == b,
    ast.IsNot: lambda a, b: a is not b and a != b,
}
_ARITHMETIC: Final[dict[type[ast.operator], Callable[[Any, Any], Any]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_CALLS: Final[dict[str, Callable[..., Any]]] = {
    "len": len,
    "abs": abs,
    "min": min,
    "max": max,
    "sum": sum,
    "any": any,
    "all": all,
}


class Condition:
    """A condition that was read once, to be judged many times."""

    def __init__(self, text: str) -> None:
        """Raises `Invalid` for what is not of the language, with what it has."""
        self.text = text
        if not text.strip() or len(text) > TEXT_MAX:
            raise Invalid(f"a condition has 1 to {TEXT_MAX:,} characters; this one {len(text):,}")
        try:
            self._tree = ast.parse(text.strip(), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            why = error.msg if isinstance(error, SyntaxError) else "it is too deep"
            raise self._wrong(why) from None
        self._check(self._tree)
        used = {each.id for each in ast.walk(self._tree) if isinstance(each, ast.Name)}
        self.needs_commit = bool(used & {"outcome", "command", "events"})
        """Whether it speaks of the commit, not of the state alone."""
        self._steps = 0
        self._missing = False
        self._items: dict[str, Any] = {}  # what `for` has named

    def judge(self, names: Names) -> Judged:
        """Whether it holds of these; raises `Invalid` for what can't be compared or is too much."""
        self._steps = 0
        self._missing = False
        self._items = {}
        try:
            found = self._value(self._tree, names)
        except Invalid:
            raise
        except (TypeError, ValueError, ZeroDivisionError, OverflowError) as error:
            raise self._wrong(f"at revision {names.revision}: {error}") from None
        return Judged(found is not _MISSING and bool(found), self._missing)

    def _wrong(self, why: str) -> Invalid:
        shown = self.text if len(self.text) <= 80 else f"{self.text[:77]}..."
        return Invalid(
            f"the condition {shown!r} can't be judged: {why}; write one like"
            " state.health < 1.1, len(events) > 2, or command.name == 'Sell' and revision > 10"
        )

    def _check(self, tree: ast.expr) -> None:
        """Everything in it is of the language; a name is one of those there are."""
        waiting: list[tuple[ast.AST, int, frozenset[str]]] = [(tree, 1, frozenset())]
        while waiting:
            node, depth, named = waiting.pop()
            if depth > DEPTH_MAX:
                raise self._wrong(f"it is deeper than {DEPTH_MAX}")
            self._check_node(node, named)
            inner: list[ast.AST] = [
                child for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr)
            ]
            if isinstance(node, ast.Call):
                inner = list(node.args)
            if isinstance(node, ast.GeneratorExp):
                (loop,) = node.generators
                assert isinstance(loop.target, ast.Name)
                waiting.append((loop.iter, depth + 1, named))
                named = named | {loop.target.id}
                inner = [node.elt, *loop.ifs]
            waiting += [(child, depth + 1, named) for child in inner]

    def _check_node(self, node: ast.AST, named: frozenset[str]) -> None:
        match node:
            case ast.GeneratorExp(
                generators=[ast.comprehension(target=ast.Name(id=name), is_async=0)]
            ):
                if name in Names.__struct_fields__ or name in named:
                    raise self._wrong(f"{name} is named already")
            case ast.Constant(value=value) if value is None or type(value) in (
                int,
                float,
                str,
                bool,
            ):
                if type(value) is int and abs(value) > SIZE_MAX:
                    raise self._wrong("a number is too large")
            case ast.Name(id=name) if name in Names.__struct_fields__ or name in named:
                pass
            case ast.Name(id=name):
                known = ", ".join((*Names.__struct_fields__, *sorted(named)))
                raise self._wrong(f"there is no {name}; there are {known}")
            case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if (
                name in _CALLS and args
            ):
                pass
            case ast.BinOp(op=op) if type(op) in _ARITHMETIC:
                pass
            case ast.Compare(ops=ops) if all(type(op) in _COMPARE for op in ops):
                pass
            case ast.UnaryOp(op=ast.Not() | ast.USub()):
                pass
            case ast.Attribute() | ast.Subscript() | ast.BoolOp() | ast.List() | ast.Tuple():
                pass
            case _:
                raise self._wrong(f"it has a {type(node).__name__}, which is not of the language")

    def _value(self, node: ast.expr, names: Names) -> Any:
        self._steps += 1
        if self._steps > STEPS_MAX:
            raise self._wrong(f"it takes more than {STEPS_MAX:,} steps")
        match node:
            case ast.Constant(value=value):
                return value
            case ast.Name(id=name):
                return self._items[name] if name in self._items else getattr(names, name)
            case ast.GeneratorExp(elt=elt, generators=[loop]):
                return self._each(elt, loop, names)
            case ast.Attribute(value=inner, attr=key):
                return self._inside(self._value(inner, names), key)
            case ast.Subscript(value=inner, slice=at):
                return self._inside(self._value(inner, names), self._value(at, names))
            case ast.BoolOp(op=op, values=values):
                wanted = isinstance(op, ast.Or)
                return (
                    any(self._truth(v, names) for v in values)
                    if wanted
                    else all(self._truth(v, names) for v in values)
                )
            case ast.UnaryOp(op=ast.Not(), operand=inner):
                return not self._truth(inner, names)
            case ast.UnaryOp(operand=inner):
                number = self._value(inner, names)
                return number if number is _MISSING else -number
            case ast.List(elts=elts) | ast.Tuple(elts=elts):
                return [self._value(each, names) for each in elts]
            case ast.Compare(left=first, ops=ops, comparators=others):
                return self._compare(first, ops, others, names)
            case ast.BinOp(left=left, op=op, right=right):
                return self._arithmetic(self._value(left, names), op, self._value(right, names))
            case ast.Call(func=ast.Name(id=name), args=args):
                arguments = [self._value(each, names) for each in args]
                if any(argument is _MISSING for argument in arguments):
                    return _MISSING
                return _CALLS[name](*arguments)
        raise AssertionError(node)

    def _each(self, elt: ast.expr, loop: ast.comprehension, names: Names) -> Any:
        assert isinstance(loop.target, ast.Name)
        items = self._value(loop.iter, names)
        if items is _MISSING:
            return _MISSING
        if not isinstance(items, list | dict):
            raise self._wrong("`for` goes over a list or an object")
        name = loop.target.id
        found: list[Any] = []
        for item in items.values() if isinstance(items, dict) else items:
            self._items[name] = item
            if all(self._truth(condition, names) for condition in loop.ifs):
                value = self._value(elt, names)
                if value is not _MISSING:
                    found.append(value)
        self._items.pop(name, None)
        return found

    def _truth(self, node: ast.expr, names: Names) -> bool:
        value = self._value(node, names)
        return value is not _MISSING and bool(value)

    def _inside(self, value: Any, key: Any) -> Any:
        if isinstance(value, dict) and isinstance(key, str) and key in value:
            return value[key]
        whole = type(key) is int
        if isinstance(value, list | str) and whole and -len(value) <= key < len(value):
            return value[key]
        self._missing = True
        return _MISSING

    def _compare(
        self, left: ast.expr, ops: list[ast.cmpop], others: list[ast.expr], names: Names
    ) -> bool:
        value = self._value(left, names)
        for op, other in zip(ops, others, strict=True):
            against = self._value(other, names)
            if value is _MISSING or against is _MISSING:
                return False
            try:
                if not _COMPARE[type(op)](value, against):
                    return False
            except TypeError:  # nothing is less than None
                return False
            value = against
        return True

    def _arithmetic(self, left: Any, op: ast.operator, right: Any) -> Any:
        if left is _MISSING or right is _MISSING:
            return _MISSING
        numbers = isinstance(left, int | float) and isinstance(right, int | float)
        if not numbers:
            alike = type(left) is type(right) and isinstance(left, str | list)
            if not (isinstance(op, ast.Add) and alike):
                raise self._wrong("only numbers are calculated with; + also joins texts or lists")
            if len(left) + len(right) > LENGTH_MAX:
                raise self._wrong(f"it makes a text or list of more than {LENGTH_MAX:,}")
        value = _ARITHMETIC[type(op)](left, right)
        if type(value) is int and abs(value) > SIZE_MAX:
            raise self._wrong("a number gets too large")
        return value
