"""What a class says of its fields: where anything may stand, and where one type alone."""

from typing import Any, Final, TypeVar, get_args

import msgspec
from msgspec import inspect as mi

Declared = Any
"""A msgspec type, `ANY` where anything may stand, or `LEAF`: one type, whose parts are unknown."""

ANY: Final[Declared] = None

LEAF: Final[Declared] = "leaf"

_FREE: Final = frozenset({mi.AnyType, mi.CustomType, mi.RawType, mi.ExtType})
_OBJECTS: Final = (mi.StructType, mi.DataclassType, mi.TypedDictType, mi.NamedTupleType)


def declared_by(cls: type) -> Declared:
    """What msgspec reads from a class; of a pydantic model only whether anything may stand in it.

    `ANY` for a class that is not known.
    """
    if hasattr(cls, "__pydantic_fields__") and hasattr(cls, "model_validate"):
        return ANY if _has_free_field(cls, set()) else LEAF
    try:
        return mi.type_info(cls)
    except (TypeError, NameError):
        return ANY


def _has_free_field(annotation: Any, seen: set[Any]) -> bool:
    """Whether a pydantic model, or a type that it names, leaves open what stands there."""
    if annotation in (Any, object, list, dict, tuple, set, frozenset) or isinstance(
        annotation, TypeVar
    ):
        return True
    fields = getattr(annotation, "__pydantic_fields__", None)
    if isinstance(annotation, type) and isinstance(fields, dict):
        if annotation in seen:
            return False
        seen.add(annotation)
        if annotation.model_config.get("extra") == "allow":  # type: ignore[attr-defined]
            return True
        return any(_has_free_field(field.annotation, seen) for field in fields.values())
    return any(_has_free_field(part, seen) for part in get_args(annotation))


def is_free(declared: Declared) -> bool:
    """Whether anything may stand there, so that its type can't be put right by reading."""
    return declared is ANY or type(declared) in _FREE


def item_of(declared: Declared, index: int) -> Declared:
    """What is declared of a sequence's or a set's item."""
    if isinstance(declared, mi.ListType | mi.SetType | mi.FrozenSetType | mi.VarTupleType):
        return declared.item_type
    if isinstance(declared, mi.TupleType) and index < len(declared.item_types):
        return declared.item_types[index]
    if isinstance(declared, mi.NamedTupleType) and index < len(declared.fields):
        return declared.fields[index].type
    return ANY if is_free(declared) else LEAF


def key_of(declared: Declared) -> Declared:
    """What is declared of a dict's keys."""
    if isinstance(declared, mi.DictType):
        return declared.key_type
    return ANY if is_free(declared) else LEAF


def value_of(declared: Declared, key: Any) -> Declared:
    """What is declared of a dict's value, or of an attribute."""
    if declared is ANY:
        return ANY
    if isinstance(declared, mi.DictType):
        return declared.value_type
    if isinstance(declared, _OBJECTS):
        for field in declared.fields:
            if field.name == key:
                return field.type
        return LEAF
    return ANY if is_free(declared) else LEAF


def one_of(declared: Declared, value: Any) -> Declared:
    """That of a union which `value`, as it was read, is of; what isn't one as it is."""
    if not isinstance(declared, mi.UnionType):
        return declared
    if any(is_free(member) for member in declared.types):
        return ANY
    kind: Any = type(value)
    for member in declared.types:
        if getattr(member, "cls", None) is kind:
            return member
    names = {list: "ListType", dict: "DictType", set: "SetType", frozenset: "FrozenSetType"}
    for member in declared.types:
        name = type(member).__name__
        if name == names.get(kind) or (kind is tuple and name in ("VarTupleType", "TupleType")):
            return member
    return LEAF


def can_differ(cls: type, info: Declared) -> tuple[bool, bool]:
    """Whether a value of `cls` may be read otherwise than it was written, and unlike in `==`.

    The first: it has parts that a subclass, a wider number or something untyped can stand in. The
    second: times, whose `==` is blind in the hour that comes twice, or places for anything. `info`
    is what `declared_by` says of it.
    """
    if is_free(info) or info is LEAF:
        return True, True
    differs = hasattr(cls, "__post_init__")
    blind = _has_own_eq(cls)
    seen: set[int] = set()
    stack: list[Any] = [field.type for field in getattr(info, "fields", ())]
    while stack:
        node = stack.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if is_free(node) or isinstance(node, mi.DateTimeType | mi.TimeType):
            return True, True
        if isinstance(node, _OBJECTS):
            differs = True
            blind = blind or _has_own_eq(node.cls)
            stack += [field.type for field in node.fields]
        elif isinstance(node, mi.FloatType):
            differs = True
        elif isinstance(node, mi.UnionType):
            differs = differs or sum(type(m) is not mi.NoneType for m in node.types) > 1
            stack += node.types
        else:
            for name in ("item_type", "key_type", "value_type"):
                if hasattr(node, name):
                    stack.append(getattr(node, name))
            stack += getattr(node, "item_types", ())
    return differs or blind, blind


def _has_own_eq(cls: type) -> bool:
    """Whether somebody wrote its `__eq__`, which may say what it likes."""
    if issubclass(cls, msgspec.Struct):
        return cls.__eq__ is not msgspec.Struct.__eq__
    return False
