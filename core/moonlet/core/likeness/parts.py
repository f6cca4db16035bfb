"""What values are made of: the attributes of objects, whatever kind of class they have."""

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from functools import cached_property, lru_cache
from inspect import getattr_static
from types import NoneType
from typing import Any, Final
from uuid import UUID

import msgspec


@lru_cache(maxsize=4_096)
def _slots(kind: type) -> tuple[str, ...]:
    """The attributes that instances keep outside their `__dict__`, in order."""
    if issubclass(kind, msgspec.Struct):
        return kind.__struct_fields__
    names: dict[str, None] = {}
    for base in reversed(kind.__mro__):
        slots = vars(base).get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if name.startswith("__") and not name.endswith("__"):
                name = f"_{base.__name__.lstrip('_')}{name}"
            names[name] = None
    return tuple(name for name in names if not name.startswith("__"))


@lru_cache(maxsize=65_536)
def _is_cached(kind: type, name: str) -> bool:
    """Whether it is worked out at its first use: then it may stand there or not."""
    return isinstance(getattr_static(kind, name, None), cached_property)


_FIXED: Final = frozenset(
    {int, str, bool, NoneType, bytes, float, complex, date, datetime, time, timedelta, timezone}
    | {Decimal, UUID}
)


def is_fixed(value: Any) -> bool:
    """Whether nothing that a value is made of can be changed, as far as its classes tell."""
    if type(value) in _FIXED or isinstance(value, Enum):
        return True
    if isinstance(value, tuple | frozenset):
        return all(map(is_fixed, value))
    if isinstance(value, msgspec.Struct) and value.__struct_config__.frozen:
        return not has_more(type(value)) and all(map(is_fixed, attributes(value).values()))
    return False


def has_more(struct: type[msgspec.Struct]) -> bool:
    """Whether its instances may hold more than their fields."""
    return bool(struct.__struct_config__.dict) or "__dict__" in dir(struct)


@lru_cache(maxsize=4_096)
def has_cached(kind: type) -> bool:
    """Whether something of its instances is worked out at its first use."""
    return any(
        isinstance(part, cached_property) for base in kind.__mro__ for part in vars(base).values()
    )


def attributes(value: Any) -> dict[str, Any]:
    """All that an object holds by name: fields, and what was set beside them."""
    kind: Any = type(value)
    held = {name: getattr(value, name) for name in _slots(kind) if hasattr(value, name)}
    beside = getattr(value, "__dict__", None)
    if beside:
        held.update((name, part) for name, part in beside.items() if not _is_cached(kind, name))
    if hasattr(kind, "__pydantic_validator__"):
        for more in ("__pydantic_extra__", "__pydantic_private__"):
            named = getattr(value, more, None)
            if isinstance(named, dict):
                held.update(named)
    return held


def parts(value: Any) -> Iterator[tuple[str, Any]]:
    """What a value is made of, each with its step in a path: `.name`, `[0]`, `[key]`, `[...]`."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield f"[key {key!r:.40}]", key
            yield f"[{key!r:.40}]", item
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield f"[{index}]", item
    elif isinstance(value, set | frozenset):
        for item in value:
            yield "[...]", item
    else:
        for name, item in attributes(value).items():
            yield f".{name}", item
