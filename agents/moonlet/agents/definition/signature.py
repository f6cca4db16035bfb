"""Reading a handler's signature: which message it takes, and whether it is written as it must be.

Annotations are resolved under `from __future__ import annotations` too, for classes local to the
function in which the decorator stands, and inside `Annotated` and unions.
"""

import inspect
import sys
import types
import typing
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Union, get_args, get_origin

from moonlet.agents.definition.context import Context
from moonlet.core.errors import InvalidAgentType
from moonlet.core.schema import is_message_class


class Signature(typing.NamedTuple):
    """What a handler's annotations say; `classes` are those of the message parameter."""

    classes: tuple[type, ...]
    wants_context: bool
    wants_call_id: bool
    returned: tuple[type, ...]


def read_signature(
    function: Callable[..., Any],
    decorator: str,
    *,
    leading: int,
    extras: tuple[str, ...],
    resources: bool = False,
    state: Any = None,
) -> Signature:
    """Check `function`, decorated with `decorator`, and read it.

    `leading` parameters precede the message's (the state: 1, or 0); `extras` are the names that
    may follow it, and, with `resources`, any other names, which are the host's resources. What
    precedes is a `state`, if that is given. Raises `InvalidAgentType` that names the function and
    the fix.
    """
    name = f"@{decorator} {getattr(function, '__qualname__', function)!s}"
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError) as error:
        raise InvalidAgentType(f"{name} is no function that can be a handler: {error}") from None
    hints = _hints(function, name)
    shape = f"{name}: {_shape(leading, extras)}"
    behind = parameters[leading + 1 :]
    if resources:
        known = [p for p in behind if p.name in extras or Context in _members(hints.get(p.name))]
    else:
        known = behind
    context, call_id = _extras(known, hints, shape, extras)
    if len(parameters) < leading + 1 or any(
        p.kind not in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters
    ):
        raise InvalidAgentType(shape)
    parameter = parameters[leading].name
    if parameter not in hints:
        raise InvalidAgentType(
            f"{name}: parameter {parameter!r} has no annotation: name the message class it takes"
        )
    classes = _members(hints[parameter])
    for cls in classes:
        if not is_message_class(cls):
            raise InvalidAgentType(
                f"{name}: {parameter!r} is annotated {cls!r}, which is no message class: use a"
                " msgspec.Struct, a dataclass or a pydantic model"
            )
    if leading and state is not None:
        _check_order(name, hints.get(parameters[0].name), classes, _members(state))
    returned = tuple(c for c in _classes_in(hints.get("return")) if is_message_class(c))
    return Signature(classes, context, call_id, returned)


def _check_order(name: str, first: Any, classes: tuple[type, ...], states: tuple[Any, ...]) -> None:
    """The state comes first. Where its parameter is annotated as another message's, or the
    message's as the state, they were swapped, or one of the two is not what was meant."""
    firsts = _members(first) if first is not None else ()
    if any(not isinstance(cls, type) or not is_message_class(cls) for cls in firsts):
        return  # `Any`, a protocol, a type variable: whatever the state is
    known = [cls for cls in states if isinstance(cls, type)]
    fits = any(issubclass(s, cls) or issubclass(cls, s) for s in known for cls in firsts)
    swapped = not firsts and any(cls in known for cls in classes)
    if known and ((firsts and not fits) or swapped):
        told = " | ".join(cls.__name__ for cls in firsts or classes)
        raise InvalidAgentType(
            f"{name}: the state comes first, then the message; {told} stands where"
            f" {'the message' if swapped else known[0].__name__} belongs: write it as (state:"
            f" {known[0].__name__}, message: ...)"
        )


def _shape(leading: int, extras: tuple[str, ...]) -> str:
    names = (["state"] if leading else []) + ["message"]
    optional = "".join(f"[, {extra}]" for extra in extras)
    return f"write it as ({', '.join(names)}{optional}), positional parameters only"


def _extras(
    parameters: list[inspect.Parameter],
    hints: Mapping[str, Any],
    shape: str,
    extras: tuple[str, ...],
) -> tuple[bool, bool]:
    found: set[str] = set()
    for parameter in parameters:
        kind = (
            "context"
            if parameter.name == "context" or Context in _members(hints.get(parameter.name))
            else parameter.name
        )
        if kind not in extras or kind in found:
            raise InvalidAgentType(f"{shape}; {parameter.name!r} is an unexpected parameter")
        found.add(kind)
    return "context" in found, "call_id" in found


def _hints(function: Callable[..., Any], name: str) -> dict[str, Any]:
    try:
        return typing.get_type_hints(
            function, localns=_visible_locals(function), include_extras=True
        )
    except (NameError, AttributeError) as error:
        raise InvalidAgentType(
            f"{name}: an annotation can't be resolved ({error}): define or import that class"
            " before the handler"
        ) from None
    except Exception as error:  # an annotation is code: it may raise anything
        raise InvalidAgentType(
            f"{name}: an annotation can't be read ({type(error).__name__}: {error}): name a message"
            " class"
        ) from None


def _visible_locals(function: Callable[..., Any]) -> dict[str, Any]:
    """Names visible where the decorator stands: locals of the calling frames in its module."""
    module = getattr(function, "__module__", None)
    scopes: list[dict[str, Any]] = []
    frame: types.FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_globals.get("__name__") == module and frame.f_code.co_name != "<module>":
            scopes.append(dict(frame.f_locals))
        frame = frame.f_back
    names: dict[str, Any] = {}
    for scope in reversed(scopes):
        names.update(scope)
    code = getattr(function, "__code__", None)
    for variable, cell in zip(
        getattr(code, "co_freevars", ()), getattr(function, "__closure__", None) or (), strict=False
    ):
        try:
            names[variable] = cell.cell_contents
        except ValueError:  # the cell is still empty: its variable is assigned later
            continue
    return names


def _members(annotation: Any) -> tuple[Any, ...]:
    """`A | B` as (A, B), with `Annotated` taken off."""
    if get_origin(annotation) is Annotated:
        return _members(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        return tuple(member for part in get_args(annotation) for member in _members(part))
    return (annotation,)


def _classes_in(annotation: Any) -> list[type]:
    """All classes named anywhere in an annotation."""
    if isinstance(annotation, type) and not get_args(annotation):
        return [annotation]
    return [cls for part in get_args(annotation) for cls in _classes_in(part)]


def mentions(function: Callable[..., Any], wanted: object) -> bool:
    """Whether a function's own code names `wanted`, a class, by whatever name it has there.

    What it calls isn't looked into.
    """
    name = getattr(wanted, "__name__", "")
    scope = getattr(function, "__globals__", {})

    def in_code(code: types.CodeType) -> bool:
        for used in (*code.co_names, *code.co_freevars):
            if scope.get(used, wanted if used == name else None) is wanted:
                return True
        return any(in_code(c) for c in code.co_consts if isinstance(c, types.CodeType))

    code = getattr(function, "__code__", None)
    return code is not None and in_code(code)
