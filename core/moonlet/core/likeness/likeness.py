"""Comparing what was stored with what is read again: equal is not enough, `1 == True == 1.0`."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, time
from decimal import Decimal
from enum import Enum
from functools import lru_cache, partial
from math import copysign
from types import NoneType
from typing import Any, Final, NamedTuple, cast

import msgspec

from moonlet.core.likeness.declared import (
    ANY,
    Declared,
    is_free,
    item_of,
    key_of,
    one_of,
    value_of,
)
from moonlet.core.likeness.parts import attributes, has_more, parts

_EXACT: Final = frozenset({int, str, bool, NoneType, bytes})
"""Types whose values are alike if they are equal."""

_MISSING: Final = object()


class Unlike(NamedTuple):
    """The first place where two values differ, and both values there, shortened."""

    path: str
    was: str
    comes_back: str


def first_unlike(value: Any, again: Any, declared: Declared = ANY) -> Unlike | None:
    """Where `again` is not what `value` was; None if it is, types included.

    Alike are NaNs, and zones of one fixed offset under other names. The order of dicts and sets
    doesn't count. Where one type is `declared`, `value` may be whatever is written as it is.
    """
    try:
        found = _first(value, again, ANY)
        if found is not None and declared is not ANY:
            found = _first(value, again, declared)
    except RecursionError:
        return Unlike("$", "nested too deep", "nested too deep")
    if found is None:
        return None
    path, was, comes_back = found
    return Unlike(f"${path}", _short(was), _short(comes_back))


def any_key(path: str) -> str:
    """The path without its keys and indexes: the same for all values of a class."""
    return re.sub(r"\[[^\]]*\]", "[...]", path)


def unencodable(value: Any, encode: Callable[[Any], bytes]) -> str:
    """The path of what `encode` fails on, which fails on `value`."""
    path, seen = "$", 0
    while seen < 100:
        seen += 1
        for step, part in parts(value):
            try:
                encode(part)
            except BaseException:  # as what fails may be whatever the part's class raises
                path, value = path + step, part
                break
        else:
            return path
    return path


def _short(value: Any) -> str:
    if value is _MISSING:
        return "nothing"
    try:
        text = repr(value)
    except BaseException:  # its class's own
        text = f"a {type(value).__name__}"
    return text if len(text) <= 100 else f"{text[:97]}..."


_Found = tuple[str, Any, Any] | None


def _first(a: Any, b: Any, declared: Declared) -> _Found:
    kind = type(a)
    if kind is not type(b):
        if not is_free(declared):
            declared = one_of(declared, b)
            if not is_free(declared) and _written_alike(a, b):
                return None
        return "", a, b
    if kind in _EXACT:
        return None if a == b else ("", a, b)
    if declared is not ANY:
        declared = one_of(declared, b)
    way: Callable[[Any, Any, Declared], _Found] = _way_of(cast(Any, kind))
    return way(a, b, declared)


@lru_cache(maxsize=4_096)
def _way_of(kind: Any) -> Callable[[Any, Any, Declared], _Found]:
    """How two values of one type are compared."""
    ways: tuple[tuple[Any, Callable[[Any, Any, Declared], _Found]], ...] = (
        (Enum, _first_of_names),
        (dict, _first_of_dicts),
        (list | tuple, _first_of_rows),
        (set | frozenset, _first_of_sets),
        (datetime | time, _first_of_times),
        (Decimal, _first_of_decimals),
    )
    for base, way in ways:
        if issubclass(kind, base):
            return way
    if kind is float:
        return _first_of_floats
    if issubclass(kind, msgspec.Struct) and not has_more(kind):
        return partial(_first_of_structs, kind.__struct_fields__)
    return _first_of_objects


def _first_of_names(a: Any, b: Any, declared: Declared) -> _Found:
    return None if a is b else ("", a, b)


def _first_of_decimals(a: Any, b: Any, declared: Declared) -> _Found:
    return None if a.as_tuple() == b.as_tuple() else ("", a, b)


def _first_of_floats(a: float, b: float, declared: Declared) -> _Found:
    if (a == b and (a or copysign(1, a) == copysign(1, b))) or (a != a and b != b):
        return None
    return "", a, b


def _first_of_times(a: Any, b: Any, declared: Declared) -> _Found:
    return None if _same_time(a, b, is_free(declared)) else ("", a, b)


def _first_of_structs(names: tuple[str, ...], a: Any, b: Any, declared: Declared) -> _Found:
    for name in names:
        x, y = getattr(a, name, _MISSING), getattr(b, name, _MISSING)
        if x is y or (type(x) is type(y) and type(x) in _EXACT and x == y):
            continue
        found = _first(x, y, value_of(declared, name))
        if found is not None:
            return f".{name}{found[0]}", found[1], found[2]
    return None


def _same_time(a: Any, b: Any, strict: bool) -> bool:
    """One wall clock, one offset, and in the hour that comes twice the same one of the two.

    Not `strict`, one instant is enough where there is an offset.
    """
    if a.tzinfo is b.tzinfo and a.fold == b.fold:
        return bool(a == b)
    if not strict and isinstance(a, datetime) and a.tzinfo and b.tzinfo:
        return bool(a.astimezone(UTC) == b.astimezone(UTC))
    if a.replace(tzinfo=None) != b.replace(tzinfo=None) or a.utcoffset() != b.utcoffset():
        return False
    if a.tzinfo is None or b.tzinfo is None:
        return a.tzinfo is b.tzinfo and a.fold == b.fold
    if not strict:
        return True
    offset = a.tzinfo.utcoffset(None)
    if offset is not None:
        return bool(offset == b.tzinfo.utcoffset(None))
    return type(a.tzinfo) is type(b.tzinfo) and str(a.tzinfo) == str(b.tzinfo)


def _first_of_rows(a: Any, b: Any, declared: Declared) -> _Found:
    if len(a) != len(b):
        return "", a, b
    for index, (x, y) in enumerate(zip(a, b, strict=True)):
        if type(x) is type(y) and type(x) in _EXACT and x == y:
            continue
        found = _first(x, y, item_of(declared, index))
        if found is not None:
            return f"[{index}]{found[0]}", found[1], found[2]
    return None


def _first_of_dicts(a: Any, b: Any, declared: Declared) -> _Found:
    if len(a) != len(b):
        return "", a, b
    keys: dict[Any, Any] | None = None
    for (key, x), (other, y) in zip(a.items(), b.items(), strict=True):
        if key is not other and (type(key) is not type(other) or key != other):
            if keys is None:
                keys = {k: k for k in b}
            other = keys.get(key, _MISSING)
            if other is _MISSING:
                return f"[{key!r:.40}]", x, other
            y = b[key]
        if type(x) is type(y) and type(x) in _EXACT and x == y:
            if type(key) is type(other) and type(key) in _EXACT:
                continue
        found = _first(key, other, key_of(declared))
        if found is None:
            found = _first(x, y, value_of(declared, key))
        if found is not None:
            return f"[{key!r:.40}]{found[0]}", found[1], found[2]
    return None


def _first_of_sets(a: Any, b: Any, declared: Declared) -> _Found:
    if len(a) != len(b):
        return "", a, b
    others = {y: y for y in b}
    for x in a:
        y = others.get(x, _MISSING)
        found = ("", x, y) if y is _MISSING else _first(x, y, item_of(declared, 0))
        if found is not None:
            return f"[...]{found[0]}", found[1], found[2]
    return None


def _first_of_objects(a: Any, b: Any, declared: Declared) -> _Found:
    mine, other = attributes(a), attributes(b)
    if (isinstance(a, int | str | bytes | float) or not (mine or other)) and a != b:
        return "", a, b
    for name in {**mine, **other}:
        x, y = mine.get(name, _MISSING), other.get(name, _MISSING)
        if x is y:
            continue
        found = _first(x, y, value_of(declared, name))
        if found is not None:
            return f".{name}{found[0]}", found[1], found[2]
    return None


def _written_alike(a: Any, b: Any) -> bool:
    """Whether both are one and the same once they are written, sets in any order.

    Not for an object: it was of that class for a reason.
    """
    if isinstance(a, msgspec.Struct) or hasattr(a, "__dataclass_fields__"):
        return False
    try:
        if isinstance(b, Decimal):
            return Decimal(str(a)) == b
        if isinstance(b, set | frozenset):
            return set(a) == b
        encode, decode = msgspec.msgpack.encode, msgspec.msgpack.decode
        return bool(decode(encode(a)) == decode(encode(b)))
    except Exception:
        return False
