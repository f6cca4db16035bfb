"""Looking for clocks, chance and the outside in fold code, before it runs.

A fold must give the same on every replica. What a handler can reach by name is followed through
its bytecode and that of the functions it calls; what can't be seen there (a value that a library
hides) is caught by comparing digests.
"""

import builtins
import dis
import functools
import inspect
import sys
import types
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from moonlet.projections.errors import ImpureFold

_MODULES: Final = frozenset(
    "asyncio concurrent httpx nats multiprocessing nt os pathlib posix random requests secrets"
    " select shutil socket sqlite3 sqlite_utils subprocess tempfile threading time urllib".split()
)
_BUILTINS: Final = frozenset(
    "__import__ breakpoint compile eval exec globals hash id input locals open vars".split()
)
_CHANGES: Final = frozenset(
    "__delitem__ __setitem__ add append appendleft clear difference_update discard extend insert"
    " pop popitem popleft remove reverse setdefault sort update".split()
)
"""Methods by which a container is changed in place."""

_CONTAINERS: Final = (dict, list, set, bytearray, deque)
_NAMES: Final = {
    "datetime": frozenset(("now", "today", "utcnow")),
    "uuid": frozenset(("getnode", "uuid1", "uuid4", "uuid6", "uuid7", "uuid8")),
}
MAX_LAYERS: Final = 10
"""Wrappers around one function that are looked through."""

_TRUSTED: Final = frozenset(sys.stdlib_module_names) | {"moonlet", "msgspec", "pydantic"}


def check_pure(function: Callable[..., Any], where: str) -> None:
    """Raise `ImpureFold` if the function, or one it calls, names what a fold may not read."""
    _check(function, where, set())


def _check(function: Any, where: str, seen: set[int]) -> None:
    code = getattr(function, "__code__", None)
    if code is None or id(code) in seen:
        return
    seen.add(id(code))
    scope = _scope(function)
    for part in _codes(code):
        for chain in _chains(part, frozenset(code.co_freevars)):
            if chain[0] == "=":
                raise _stateful(where, chain[1])
            _check_chain(chain, scope, where, seen)


def _check_chain(chain: tuple[str, ...], scope: dict[str, Any], where: str, seen: set[int]) -> None:
    value: Any = scope.get(chain[0], getattr(builtins, chain[0], None))
    if chain[0] in _BUILTINS and chain[0] not in scope:
        raise _impure(where, chain[0])
    for depth in range(1, len(chain) + 1):
        for layer in _layers(value):
            root = _home(layer).split(".")[0]
            if root in _MODULES or getattr(layer, "__name__", "") in _NAMES.get(root, ()):
                raise _impure(where, ".".join(chain[:depth]))
        if depth == len(chain):
            break
        if isinstance(value, _CONTAINERS) and chain[depth] in _CHANGES:
            raise _stateful(where, ".".join(chain[:depth]))
        if isinstance(value, type) and chain[depth] in _NAMES.get(value.__module__, ()):
            raise _impure(where, ".".join(chain[: depth + 1]))
        value = _attribute(value, chain[depth])
    for layer in _layers(value):
        if isinstance(layer, types.FunctionType) and not _is_trusted(layer):
            _check(layer, f"{where}, through {layer.__qualname__},", seen)


def _layers(value: Any) -> Iterator[Any]:
    """The value, and what is called by calling it, as far as that can be seen."""
    for _ in range(MAX_LAYERS):
        yield value
        if isinstance(value, functools.partial):
            value = value.func
        elif isinstance(value, types.MethodType):
            value = value.__func__
        elif isinstance(value, property):
            value = value.fget
        elif isinstance(value, functools._lru_cache_wrapper):
            value = value.__wrapped__
        elif isinstance(value, types.FunctionType | types.BuiltinFunctionType | type):
            return
        else:
            value = inspect.getattr_static(type(value), "__call__", None)
            if not isinstance(value, types.FunctionType):
                return


def _home(value: Any) -> str:
    """The module that a value is, comes from, or whose type it has."""
    if isinstance(value, types.ModuleType):
        return value.__name__
    if isinstance(value, types.BuiltinFunctionType | types.MethodType):
        if value.__self__ is not None:
            return _home(value.__self__)
    is_named = isinstance(value, type | types.FunctionType | types.BuiltinFunctionType)
    return str(getattr(value if is_named else type(value), "__module__", ""))


def _attribute(value: Any, name: str) -> Any:
    """Without running any code: a property is not asked."""
    if isinstance(value, types.ModuleType | type):
        return getattr(value, name, None)
    found = inspect.getattr_static(value, name, None)
    return found.__func__ if isinstance(found, staticmethod | classmethod) else found


def _is_trusted(function: types.FunctionType) -> bool:
    """Whether it is a library's: called with what the handler has, it means the same everywhere."""
    root = (function.__module__ or "").split(".")[0]
    return root in _TRUSTED or "site-packages" in Path(function.__code__.co_filename).parts


def _stateful(where: str, what: str) -> ImpureFold:
    return ImpureFold(
        f"{where} assigns to {what!r} outside itself: the state of a fold is its view; write to"
        " that"
    )


def _impure(where: str, what: str) -> ImpureFold:
    return ImpureFold(
        f"{where} uses {what}, which differs between replicas: take the time from `at.time`, and"
        " let the agent put everything else into the event"
    )


def _scope(function: Any) -> dict[str, Any]:
    scope = dict(getattr(function, "__globals__", {}))
    cells = getattr(function, "__closure__", None) or ()
    for name, cell in zip(function.__code__.co_freevars, cells, strict=False):
        try:
            scope[name] = cell.cell_contents
        except ValueError:  # still empty: assigned after the handler was declared
            scope.pop(name, None)
    return scope


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _codes(constant)


def _chains(code: types.CodeType, free: frozenset[str]) -> Iterator[tuple[str, ...]]:
    """The names a code object loads from outside, each with the attributes taken from it.

    ('time', 'time') for `time.time()`; ('=', name) for a store outside; imports as the module.
    """
    chain: list[str] = []
    outer: list[str] = []
    """What the last two instructions loaded from outside, as a whole; empty if it was nothing."""
    for instruction in dis.get_instructions(code):
        name = instruction.opname
        if name == "CACHE":
            continue
        target = {"STORE_ATTR": -1, "DELETE_ATTR": -1, "STORE_SUBSCR": -2, "DELETE_SUBSCR": -2}
        if name in target and len(outer) == 2 and outer[target[name]]:
            yield ("=", outer[target[name]])
        if name in ("LOAD_ATTR", "LOAD_METHOD") and chain:
            chain.append(str(instruction.argval))
            continue
        if name in ("PRECALL", "CACHE", "PUSH_NULL") and chain:
            continue
        if chain:
            yield tuple(chain)
        outside = name == "LOAD_GLOBAL" or (
            name in ("LOAD_DEREF", "LOAD_CLASSDEREF") and instruction.argval in free
        )
        outer = [*outer[-1:], str(instruction.argval) if outside else ""]
        chain = [str(instruction.argval)] if outside else []
        if name == "IMPORT_NAME":
            root = str(instruction.argval).split(".")[0]
            if root in _MODULES or root in _NAMES:
                raise _impure("the handler", f"an import of {root}")
        if name == "STORE_GLOBAL" or (name == "STORE_DEREF" and instruction.argval in free):
            yield ("=", str(instruction.argval))
    if chain:
        yield tuple(chain)
