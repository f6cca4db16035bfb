"""A digest of all that folding hangs on beside the events: code and data that handlers reach.

Followed are helpers, methods of states and events, constants and tables, through names, closures,
defaults and containers; not the standard library, nor what reads and writes classes. What lies in a
file or in C can't be followed: for that there is `fold_version`.
"""

import dataclasses
import dis
import enum
import functools
import importlib
import importlib.util
import sys
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any, Final

from moonlet.core.digest import record_digest
from moonlet.core.likeness import attributes, is_fixed

MOST: Final = 100_000
"""Values that are looked at; what lies behind so many is left out."""

_LIBRARIES: Final = sys.stdlib_module_names | {
    "annotated_types", "attr", "attrs", "msgspec", "numpy", "pandas", "pydantic", "pydantic_core",
    "typing_extensions",
}  # fmt: skip

_OURS: Final = ("moonlet.core", "moonlet.agents", "moonlet.streams", "moonlet.telemetry")


def fold_code(version: object, roots: Iterable[object]) -> str:
    """The digest of `roots` and of what they reach; equal in every process that runs equal code."""
    reach = _Reach()
    facts = [repr(version), *(reach.of(root) for root in roots)]
    return record_digest("\n".join(facts).encode(errors="replace"))


def _is_library(module: str | None) -> bool:
    name = module or "builtins"
    if name.partition(".")[0] in _LIBRARIES:
        return True
    return any(name == ours or name.startswith(f"{ours}.") for ours in _OURS)


class _Reach:
    """Texts of values, each told once; names of modules are left out, since they may differ."""

    def __init__(self) -> None:
        self._seen: dict[int, int] = {}
        self._kept: list[object] = []  # so that no id is given out again

    def of(self, value: Any) -> str:
        """What `value` is; `#n` if it was told before."""
        if type(value) in (int, str, bool, types.NoneType, bytes, float):
            return repr(value)
        known = self._seen.get(id(value))
        if known is not None:
            return f"#{known}"
        if len(self._kept) >= MOST:
            return "…"
        self._seen[id(value)] = len(self._kept)
        self._kept.append(value)
        try:
            return self._tell(value)
        except Exception as error:  # an object that can't be looked at
            return f"{type(value).__qualname__}!{type(error).__name__}"

    def _tell(self, value: Any) -> str:
        if isinstance(value, types.FunctionType):
            return self._function(value)
        if isinstance(value, type):
            return self._class(value)
        if isinstance(value, types.ModuleType):
            return value.__name__
        if isinstance(value, enum.Enum):
            return f"{self.of(type(value))}.{value.name}"
        for kinds, parts in _WRAPPERS:
            if isinstance(value, kinds):
                return self._row(type(value).__name__, (getattr(value, part) for part in parts))
        wrapped = getattr(value, "__wrapped__", None) or getattr(value, "wrapped", None)
        if wrapped is not None:
            return self._row("wrapper", [wrapped])
        if isinstance(value, Mapping):
            pairs = (part for pair in value.items() for part in pair)
            return self._row(type(value).__name__, pairs)
        if isinstance(value, set | frozenset):
            return self._row(type(value).__name__, sorted(_Reach().of(item) for item in value))
        if isinstance(value, list | tuple):
            return self._row(type(value).__name__, value)
        if is_fixed(value) and _is_library(type(value).__module__):
            return repr(value)
        kind = type(value)
        if _is_library(kind.__module__) or kind.__module__ == "builtins":
            return kind.__qualname__
        held = attributes(value)
        return self._row(self.of(kind), (part for pair in held.items() for part in pair))

    def _row(self, name: str, parts: Iterable[Any]) -> str:
        return f"{name}({','.join(map(self.of, parts))})"

    def _function(self, function: types.FunctionType) -> str:
        if _is_library(function.__module__):
            return function.__qualname__
        facts = self._code(function.__code__)
        facts.append(self.of(function.__defaults__))
        facts.append(self.of(function.__kwdefaults__))
        for cell in function.__closure__ or ():
            try:
                facts.append(self.of(cell.cell_contents))
            except ValueError:
                facts.append("empty")
        names = _names(function.__code__)
        for name in names:
            if name in function.__globals__:
                facts.append(f"{name}={self._named(function.__globals__[name], names)}")
        for module in _imports(function):
            facts.append(self._named(module, names))
        return f"function({';'.join(facts)})"

    def _named(self, value: Any, names: list[str]) -> str:
        """A global; of a module only what is named beside it."""
        if not isinstance(value, types.ModuleType):
            return self.of(value)
        if _is_library(value.__name__) or id(value) in self._seen:
            return value.__name__.rpartition(".")[2]
        self._seen[id(value)] = len(self._kept)
        self._kept.append(value)
        parts = [f"{n}={self._named(vars(value)[n], names)}" for n in names if n in vars(value)]
        del self._seen[id(value)]  # another function may name other parts of it
        return f"module({','.join(parts)})"

    def _code(self, code: types.CodeType) -> list[str]:
        """What a function does, without where it stands: bytecode, names and constants."""
        facts = [code.co_code.hex(), repr(code.co_names)]
        for constant in code.co_consts:
            if isinstance(constant, types.CodeType):
                facts += self._code(constant)
            else:
                facts.append(self.of(constant))
        return facts

    def _class(self, cls: type) -> str:
        facts = [cls.__qualname__]
        for base in cls.__mro__:
            if _is_library(base.__module__):
                continue
            for name, part in vars(base).items():
                if _tells(name, part):
                    facts.append(f"{name}={self.of(part)}")
            facts.append(self.of(getattr(base, "__struct_defaults__", ())))
            if dataclasses.is_dataclass(base):
                facts += [self.of(field.default_factory) for field in dataclasses.fields(base)]
        if len(facts) > 1:
            facts += [f"{name}:{self._hint(hint)}" for name, hint in _hints(cls).items()]
        return f"class({';'.join(facts)})"

    def _hint(self, hint: Any) -> str:
        """A field's type: the classes in it are followed."""
        arguments = typing.get_args(hint)
        if arguments:
            origin = getattr(typing.get_origin(hint), "__name__", "")
            return f"{origin}[{','.join(self._hint(part) for part in arguments)}]"
        return self.of(hint) if isinstance(hint, type) else repr(hint)


_WRAPPERS: Final[tuple[tuple[Any, tuple[str, ...]], ...]] = (
    (types.MethodType, ("__func__", "__self__")),
    (staticmethod | classmethod, ("__func__",)),
    (property, ("fget", "fset")),
    (functools.cached_property, ("func",)),
    (functools.partial | functools.partialmethod, ("func", "args", "keywords")),
)
"""What stands around a function, and where that is."""

_DATA: Final = (int, float, str, bytes, bool, tuple, list, dict, set, frozenset, enum.Enum)


def _tells(name: str, part: object) -> bool:
    """Whether something in a class is somebody's code or data, not made by a decorator."""
    function = getattr(part, "__func__", part)
    if isinstance(function, types.FunctionType):
        return not function.__code__.co_filename.startswith("<")
    if name.startswith("__"):
        return False
    wraps = hasattr(part, "wrapped") or hasattr(part, "__wrapped__")
    kinds = (property, functools.cached_property, functools.partialmethod)
    data = isinstance(part, _DATA) and not name.startswith(("_abc", "model_"))
    return wraps or data or isinstance(part, kinds) or is_fixed(part)


def _names(code: types.CodeType) -> list[str]:
    """All names that a function and those in it use, each once."""
    names = dict.fromkeys(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names.update(dict.fromkeys(_names(constant)))
    return list(names)


def _imports(function: types.FunctionType) -> list[types.ModuleType]:
    """The modules that a function imports when it runs."""
    found: list[types.ModuleType] = []
    for step in dis.get_instructions(function.__code__):
        if step.opname != "IMPORT_NAME" or _is_library(str(step.argval)):
            continue
        package = str(function.__globals__.get("__package__") or "")
        for name in (str(step.argval), f"{package}.{step.argval}".strip(".")):
            try:
                found.append(importlib.import_module(name))
                break
            except Exception:
                continue
    return found


def _hints(cls: type) -> dict[str, Any]:
    try:
        return typing.get_type_hints(cls)
    except Exception:
        return dict(getattr(cls, "__annotations__", {}))
