"""Where plain data differs from what is written now, of which parts may be sets."""

from collections import Counter
from typing import Any, Final

import msgspec

from moonlet.core.digest import canonical
from moonlet.core.likeness import attributes

PAIRS_MAX: Final = 1_000
"""Items of two sets that are held against each other one by one, where their bytes differ."""


def first_otherwise(old: Any, new: Any, value: Any, path: str = "$") -> str:
    """Where two plain values differ first, with both values there; '' if they don't.

    `value` is what `new` was written from, as far as that is known: what was a set there is
    compared as one.
    """
    if isinstance(old, dict) and isinstance(new, dict) and old.keys() == new.keys():
        parts = _by_name(new, value)
        triples = [(old[key], new[key], parts.get(key), f"{path}.{key}") for key in old]
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        if isinstance(value, set | frozenset):
            return _first_of_sets(old, new, list(value), path)
        items = _in_order(new, value)
        triples = [
            (a, b, items[i], f"{path}[{i}]") for i, (a, b) in enumerate(zip(old, new, strict=True))
        ]
    elif old == new and type(old) is type(new):
        return ""
    else:
        return f"{path}: it was {_short(old)}, and is {_short(new)}"
    return next(
        (found for a, b, v, where in triples if (found := first_otherwise(a, b, v, where))), ""
    )


def _first_of_sets(old: list[Any], new: list[Any], values: list[Any], path: str) -> str:
    """As sets, in whose items there may be sets again."""
    left = Counter(map(canonical, old)) - Counter(map(canonical, new))
    if not left:
        return ""
    if len(new) != len(values) or len(new) > PAIRS_MAX:
        values = [None] * len(new)
    open_ = list(zip(new, values, strict=True))
    for item in old:
        found = (i for i, (b, v) in enumerate(open_) if not first_otherwise(item, b, v))
        index = next(found, None)
        if index is None:
            return f"{path}[...]: {_short(item)} was in it, and is not"
        del open_[index]
    return ""


def _by_name(new: dict[str, Any], value: Any) -> dict[str, Any]:
    """What each field was written from, by the name that it was written under."""
    if isinstance(value, dict):
        if value.keys() <= new.keys():
            return value
        return dict(zip(new, value.values(), strict=False)) if len(value) == len(new) else {}
    if isinstance(value, msgspec.Struct):
        names = zip(value.__struct_encode_fields__, value.__struct_fields__, strict=True)
        return {encoded: getattr(value, name, None) for encoded, name in names}
    fields = getattr(type(value), "__pydantic_fields__", None)
    if isinstance(fields, dict):
        return {
            (field.serialization_alias or field.alias or name): getattr(value, name, None)
            for name, field in fields.items()
        }
    return {} if value is None or isinstance(value, str | bytes | int) else attributes(value)


def _in_order(new: list[Any], value: Any) -> list[Any]:
    """What each item was written from."""
    if isinstance(value, msgspec.Struct):
        value = [getattr(value, name, None) for name in value.__struct_fields__]
        value = (
            value[-len(new) :]
            if len(value) > len(new)
            else [None] * (len(new) - len(value)) + value
        )
    if isinstance(value, list | tuple) and len(value) == len(new):
        return list(value)
    return [None] * len(new)


def _short(value: Any) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= 80 else f"{text[:77]}..."
