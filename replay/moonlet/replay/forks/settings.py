"""Configuration that stands in code: constants of modules that have another value in a fork."""

import ast
import importlib
import inspect
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import msgspec

from moonlet.core.errors import Invalid

Settings = Mapping[str, Any]
"""`MODULE:NAME` → the value; plain data becomes what the constant is, as `0.5` a Decimal."""


@contextmanager
def set_to(settings: Settings) -> Iterator[None]:
    """Give the constants these values, for all of this process, and put back what they were.

    Modules that import one by its name have the new value too; a default of a function, and what
    was computed of it when its module was imported, have not. Raises `Invalid` for what is not
    there, is code, or can't have that value: then nothing was changed.
    """
    wanted = [_Constant.find(place, value) for place, value in settings.items()]
    places = [(module, name, each) for each in wanted for module, name in each.places()]
    before = [getattr(module, name) for module, name, _ in places]
    try:
        for module, name, each in places:
            setattr(module, name, each.value)
        yield
    finally:
        for (module, name, _), value in zip(places, before, strict=True):
            setattr(module, name, value)


class _Constant:
    """One of them, and what it is to be."""

    def __init__(self, module: ModuleType, name: str, value: Any) -> None:
        self.module = module
        self.name = name
        self.value = value

    @classmethod
    def find(cls, place: str, value: Any) -> "_Constant":
        """By `MODULE:NAME`; raises `Invalid`."""
        named, colon, name = place.partition(":")
        if not (named and colon and name.isidentifier()):
            raise Invalid(f"the setting {place!r}: write MODULE:NAME, like bank.accounts:LIMIT")
        module = sys.modules.get(named)
        if module is None:
            try:
                module = importlib.import_module(named)
            except ImportError as error:
                raise Invalid(f"the setting {place!r}: {error}") from error
        if name not in vars(module):
            there = sorted(each for each in vars(module) if each.isupper())
            raise Invalid(
                f"the setting {place!r}: {named} has no {name}; it has {', '.join(there) or 'none'}"
            )
        old = vars(module)[name]
        if callable(old) or isinstance(old, ModuleType):
            raise Invalid(f"the setting {place!r} is code: change it, and fork with that code")
        return cls(module, name, _like(place, old, value))

    def places(self) -> Iterator[tuple[ModuleType, str]]:
        """Its module, and all that took it from there by a `from … import`."""
        old = vars(self.module)[self.name]
        yield self.module, self.name
        for other in list(sys.modules.values()):
            if other is self.module or not isinstance(other, ModuleType):
                continue
            names = [name for name, value in vars(other).items() if value is old]
            if names:
                taken = _taken(other, self.module.__name__, self.name)
                yield from ((other, name) for name in names if name in taken)


def _like(place: str, old: Any, value: Any) -> Any:
    """The value as the constant's own type."""
    kind = type(old)
    if old is None or type(value) is kind:
        return value
    try:
        return msgspec.convert(value, kind)
    except (msgspec.ValidationError, TypeError, ValueError) as error:
        raise Invalid(
            f"the setting {place!r} is {old!r:.100}, and can't be {value!r:.100}: {error}"
        ) from error


def _taken(module: ModuleType, source: str, name: str) -> set[str]:
    """The names under which a module imports another's name."""
    try:
        tree = ast.parse(inspect.getsource(module))
    except (OSError, TypeError, SyntaxError, ValueError):
        return set()
    package = getattr(module, "__package__", "") or ""
    found: set[str] = set()
    for node in ast.walk(tree):
        if not isinstance(node, ast.ImportFrom):
            continue
        named = node.module or ""
        if node.level:
            above = package.rsplit(".", node.level - 1)[0] if node.level > 1 else package
            named = f"{above}.{named}".rstrip(".")
        again = sys.modules.get(named)
        same = named == source or (again is not None and name in vars(again))
        found |= {each.asname or each.name for each in node.names if each.name == name and same}
    return found
