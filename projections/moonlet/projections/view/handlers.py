"""A view's handlers: reading their signatures, finding tokens in events, decoding bodies."""

import inspect
import sys
import types
import typing
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec

from moonlet.core.codec import Encoding
from moonlet.core.schema import MessageType, find_upcasts, is_message_class
from moonlet.projections.errors import InvalidView
from moonlet.projections.values import Observed

Function = Callable[..., Any]


class ViewHandler(msgspec.Struct, frozen=True):
    """One function for one event class; `source` is an agent type's name, or None for all.

    `readers` decode bodies of `version` straight from bytes, by encoding: what a journal holds
    was checked before it was stored, and all that enters a view is checked again.
    """

    function: Function
    message: MessageType[Any]
    source: str | None
    tokens: tuple[str, ...]
    version: int
    readers: dict[Encoding, Callable[[Any], Any]]

    def decode(self, body: Any, version: int, encoding: Encoding) -> Any:
        """The typed event of a body, encoded or plain; raises `InvalidMessage`."""
        if type(body) is not msgspec.Raw:
            return self.message.convert(body, version)
        return self.message.decode(bytes(body), version, encoding)

    def observed(self, event: Any) -> Observed | None:
        """The token that the event carries, joined of all its token fields."""
        joined: Observed | None = None
        for name in self.tokens:
            token = getattr(event, name)
            if token is not None:
                joined = token if joined is None else joined | token
        return joined


def read_handlers(function: Function, view: str, source: str | None) -> list[ViewHandler]:
    """The handlers that a decorated function is: one for each class of its union.

    Annotations resolve under `from __future__ import annotations` and for local classes too.
    Raises `InvalidView` that names the function and the fix.
    """
    where = f"@{view}.on_event {getattr(function, '__qualname__', function)!s}"
    if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
        raise InvalidView(f"{where}: a handler writes to its view and returns: no async, no yield")
    parameters = list(inspect.signature(function).parameters.values())
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    if len(parameters) != 3 or any(p.kind not in positional for p in parameters):
        raise InvalidView(f"{where}: write it as (view: Fields, event: EventClass, at: At)")
    scope = _visible_names(function)
    try:
        hints = typing.get_type_hints(function, localns=scope, include_extras=True)
    except NameError as error:
        raise InvalidView(
            f"{where}: an annotation can't be resolved ({error}): define or import that class"
            " before the handler"
        ) from None
    except (TypeError, SyntaxError) as error:
        raise InvalidView(f"{where}: an annotation can't be read: {error}") from None
    name = parameters[1].name
    if name not in hints:
        raise InvalidView(f"{where}: {name!r} has no annotation: name the event class it takes")
    found = []
    for cls in _members(hints[name]):
        if not is_message_class(cls):
            raise InvalidView(
                f"{where}: {name!r} is annotated {cls!r}, which is no event class: use a"
                " msgspec.Struct, a dataclass or a pydantic model"
            )
        upcasts = find_upcasts([*_module_of(cls).values(), *_module_of(function).values(),
                                *scope.values()])  # fmt: skip
        message = MessageType(cls, upcasts)
        if message.missing_upcasts:
            old = message.missing_upcasts[0]
            raise InvalidView(
                f"{where}: {message.name} is at version {message.version}, but has no upcast from"
                f" version {old}: write @upcast({message.name!r}, {old})"
            )
        tokens = _token_fields(cls, scope)
        found.append(
            ViewHandler(function, message, source, tokens, message.version, _readers(message))
        )
    return found


def _readers(message: MessageType[Any]) -> dict[Encoding, Callable[[Any], Any]]:
    if hasattr(message.cls, "__pydantic_validator__"):
        return {
            "json": lambda body: message.decode(bytes(body), message.version, "json"),
            "msgpack": lambda body: message.decode(bytes(body), message.version, "msgpack"),
        }
    return {
        "json": msgspec.json.Decoder(message.cls).decode,
        "msgpack": msgspec.msgpack.Decoder(message.cls).decode,
    }


def _token_fields(cls: type, scope: Mapping[str, Any]) -> tuple[str, ...]:
    """The fields of an event class whose type is `Observed`, or holds it in a union."""
    try:
        hints = typing.get_type_hints(cls, localns=dict(scope), include_extras=True)
    except (NameError, TypeError, SyntaxError):
        # A class of another module, local to a function: its token field goes by its text.
        hints = {
            name: Observed
            for name, hint in inspect.get_annotations(cls).items()
            if isinstance(hint, str) and "Observed" in hint
        }
    return tuple(name for name, hint in hints.items() if Observed in _members(hint))


def _members(annotation: Any) -> tuple[Any, ...]:
    if get_origin(annotation) is Annotated:
        return _members(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        return tuple(member for part in get_args(annotation) for member in _members(part))
    return (annotation,)


def _module_of(thing: Any) -> dict[str, Any]:
    module = sys.modules.get(getattr(thing, "__module__", ""))
    return {} if module is None else vars(module)


def _visible_names(function: Function) -> dict[str, Any]:
    """Locals of the calling frames that lie in the function's own module, innermost last."""
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
    return names
