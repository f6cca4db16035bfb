"""Message classes and the names they are stored under; old bodies are upcast before decoding.

A message's schema name is its class's `__name__`, version 1, unless `@schema` says otherwise.
Decorators only mark: there is no global registry, so two agent types may use one name.
"""

import copy
import dataclasses
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Generic, TypeVar

import msgspec

from moonlet.core.codec import (
    MAX_DEPTH,
    MAX_VALUES,
    Encoding,
    check_json_depth,
    check_plain,
    check_values,
    invalid,
)
from moonlet.core.errors import InvalidAgentType, InvalidMessage, in_words
from moonlet.core.ids import check_name
from moonlet.core.likeness import ANY, Declared, can_differ, declared_by, first_unlike

T = TypeVar("T")
C = TypeVar("C", bound=type)
Upcast = Callable[[dict[str, Any]], dict[str, Any]]

MAX_VERSION: Final = 2**31
"""Versions are below this, so that any client can hold them."""

# What a number beyond a float's range, or beyond Python's 4,300 digits, has to look like.
_ODD_NUMBER: Final = re.compile(rb"[0-9][eE]\+?[0-9]{3}|[0-9]{300}")

_SCHEMA: Final = "__moonlet_schema__"
_UPCAST: Final = "__moonlet_upcast__"


def schema(name: str, *, version: int = 1) -> Callable[[C], C]:
    """Store messages of the decorated class under `name`, as `version` (from 1)."""
    _check_mark("schema", name, version)

    def mark(cls: C) -> C:
        setattr(cls, _SCHEMA, (name, version))
        return cls

    return mark


def schema_of(cls: type) -> tuple[str, int]:
    """The schema name and version of a message class; a subclass does not inherit them."""
    marked: tuple[str, int] | None = cls.__dict__.get(_SCHEMA)
    return marked if marked is not None else (cls.__name__, 1)


def upcast(name: str, version: int) -> Callable[[Upcast], Upcast]:
    """Mark a pure function that turns a body of `name` at `version` into one of `version + 1`."""
    _check_mark("upcast of", name, version)

    def mark(function: Upcast) -> Upcast:
        setattr(function, _UPCAST, (name, version))
        return function

    return mark


def _check_mark(what: str, name: str, version: int) -> None:
    check_name(name, "schema name")
    if type(version) is not int or not 1 <= version < MAX_VERSION:
        raise InvalidAgentType(f"{what} {name!r}: versions count from 1, not {version!r}")


def find_upcasts(values: Iterable[object]) -> dict[tuple[str, int], Upcast]:
    """The marked functions among `values`, by (name, version they take)."""
    found: dict[tuple[str, int], Upcast] = {}
    for value in values:
        key = getattr(value, _UPCAST, None) if callable(value) else None
        if isinstance(key, tuple):
            found[key] = value  # type: ignore[assignment]
    return found


def is_message_class(cls: object) -> bool:
    """Whether `cls` can be a message: a msgspec Struct, a dataclass or a pydantic model."""
    return isinstance(cls, type) and (
        issubclass(cls, msgspec.Struct) or dataclasses.is_dataclass(cls) or _is_pydantic(cls)
    )


def _is_pydantic(cls: type) -> bool:
    # Not pydantic's dataclasses: msgspec reads and writes them as it does any dataclass.
    return hasattr(cls, "__pydantic_validator__") and hasattr(cls, "model_validate")


class MessageType(Generic[T]):
    """One message class: its name and version, and its encoders and decoders.

    Raises `InvalidAgentType` for a class with a field that has no encoding.
    """

    __slots__ = (
        "_blind",
        "_changes",
        "_declared",
        "_decoders",
        "_loose",
        "_pydantic",
        "_upcasts",
        "cls",
        "name",
        "version",
    )

    def __init__(self, cls: type[T], upcasts: Mapping[tuple[str, int], Upcast] = {}) -> None:
        self.cls = cls
        self.name, self.version = schema_of(cls)
        self._upcasts: list[Upcast | None] = []
        self.take_upcasts(upcasts)
        self._pydantic = _is_pydantic(cls)
        target: Any = Any if self._pydantic else cls
        try:
            if self._pydantic:
                cls.model_rebuild()  # type: ignore[attr-defined]
            self._decoders: dict[str, Callable[[bytes], Any]] = {
                "json": msgspec.json.Decoder(target).decode,
                "msgpack": msgspec.msgpack.Decoder(target).decode,
            }
            self._declared = declared_by(cls)
            self._loose = self._pydantic or _holds_float_or_any(cls, self._declared)
            self._changes, self._blind = can_differ(cls, self._declared)
        except (NameError, TypeError) as error:
            raise InvalidAgentType(
                f"message class {cls.__qualname__}: a field can't be stored ({error}): annotate it"
                " with a class that msgspec knows, defined where its annotation can see it"
            ) from None

    def take_upcasts(self, upcasts: Mapping[tuple[str, int], Upcast]) -> None:
        """Use those among `upcasts` that lead to this class's version."""
        self._upcasts = [upcasts.get((self.name, n)) for n in range(1, self.version)]

    @property
    def upcasts(self) -> list[Upcast | None]:
        """What leads from each older version to the next, from version 1 on."""
        return self._upcasts

    @property
    def missing_upcasts(self) -> list[int]:
        """The versions from which no upcast leads on."""
        return [n for n, function in enumerate(self._upcasts, 1) if function is None]

    def encode(self, message: T, encoding: Encoding) -> bytes:
        """The body of `message`; raises `InvalidMessage` if today's class couldn't read it back."""
        return self.settle(message, encoding)[0]

    def plain(self, message: T) -> Any:
        """The body of `message` as plain data; raises as `encode`."""
        return decode_plain(self.encode(message, "json"), "json")

    def settle(self, message: T, encoding: Encoding) -> tuple[bytes, T]:
        """The encoded body, and the message as a reader will decode it.

        Constructors don't validate, so a wrong field would otherwise be stored for ever. Raises
        `InvalidMessage` for it, and if the reader would get something else than was sent.
        """
        encoded, settled = self.write(message, encoding)
        if self._changes and (self._blind or settled != message):
            self._compare(message, settled)
        return encoded, settled

    def write(self, message: T, encoding: Encoding) -> tuple[bytes, T]:
        """As `settle`, also if the reader gets something else: so histories were written once."""
        try:
            body: Any = message
            if self._pydantic:
                body = _dump(message)
            if self._loose:
                check_plain(msgspec.to_builtins(body))
            encoded = ENCODERS[encoding](body)
            if len(encoded) > MAX_VALUES:  # a value takes a byte at least
                check_values(encoded, encoding)
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            raise _misfit(self.name, error) from None
        return encoded, self._read(encoded, self.version, encoding)

    def _compare(self, message: T, settled: T) -> None:
        """Tell the sender if a reader would get something else; a model's private parts apart."""
        sent: Any = message
        got: Any = settled
        if self._pydantic:
            sent, got = ({**vars(m), **(m.__pydantic_extra__ or {})} for m in (sent, got))
        unlike = first_unlike(sent, got, self._declared)
        if unlike is not None:
            raise InvalidMessage(
                f"{self.name} changes when it is stored and read again: {unlike.path} is"
                f" {unlike.was}, and would come back as {unlike.comes_back}; annotate the field"
                " with its type, or send what its type says",
                path=unlike.path,
            )

    def decode(self, body: bytes, version: int, encoding: Encoding) -> T:
        """The message of an encoded body stored at `version`; raises `InvalidMessage`.

        What the class skips is checked too: it stands in the record, and must be readable there.
        """
        body = bytes(body)  # it may be a Raw
        if encoding == "json":
            _check_json(body)
        else:
            decode_plain(body, encoding)
        return self._read(body, version, encoding)

    def _read(self, body: bytes, version: int, encoding: Encoding) -> T:
        if version != self.version or self._pydantic:
            return self._typed(decode_plain(body, encoding), version)
        try:
            message: T = self._decoders[encoding](body)
            return message
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise _misfit(self.name, error) from None

    def convert(self, body: Any, version: int) -> T:
        """The message of plain data stored at `version`; raises `InvalidMessage`.

        An upcast gets a copy: `body` stays as it is.
        """
        check_plain(body)
        return self._typed(body if version == self.version else copy.deepcopy(body), version)

    def _typed(self, body: Any, version: int) -> T:
        body = self._upcasted(body, version)
        try:
            if self._pydantic:
                model: T = self.cls.model_validate(body)  # type: ignore[attr-defined]
                return model
            return msgspec.convert(body, self.cls, str_keys=True)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise _misfit(self.name, error) from None

    def _upcasted(self, body: Any, version: int) -> Any:
        if version == self.version:
            return body
        if version < 1:
            raise InvalidMessage(f"{self.name} has version {version}: versions count from 1")
        if version > self.version:
            raise InvalidMessage(
                f"{self.name} has version {version}, but this code knows up to {self.version}:"
                " run the newer code"
            )
        for n in range(version, self.version):
            function = self._upcasts[n - 1]
            if function is None:
                raise InvalidMessage(
                    f"{self.name} version {n} has no upcast: write @upcast({self.name!r}, {n})"
                )
            try:
                body = function(body)
            except BaseException as error:  # nothing is awaited here: it is the upcast's own
                raise InvalidMessage(
                    f"the upcast of {self.name} from version {n} failed on a stored body:"
                    f" {in_words(error)}"
                ) from error
        return body


def _check_json(data: bytes) -> None:
    """Refuse JSON that a typed decoder might skip over and a plain one couldn't read."""
    if len(data) > MAX_DEPTH:
        check_json_depth(data)
    try:
        if not data.isascii():
            data.decode()
        if _ODD_NUMBER.search(data):
            msgspec.json.decode(data)
    except (msgspec.MsgspecError, ValueError) as error:
        raise invalid(error) from None


def _dump(model: Any) -> Any:
    return model.model_dump(mode="json", by_alias=True, warnings=False)


ENCODERS: Final[dict[str, Callable[[Any], bytes]]] = {
    "json": msgspec.json.Encoder().encode,
    "msgpack": msgspec.msgpack.Encoder().encode,
}
PLAIN_TYPES: Final = frozenset({int, str, bool, type(None)})
"""Types of which every value is plain data as it stands."""

_DECODE: Final[dict[str, Callable[[bytes], Any]]] = {
    "json": msgspec.json.Decoder().decode,
    "msgpack": msgspec.msgpack.Decoder().decode,
}


def encode_plain(value: Any, encoding: Encoding) -> bytes:
    """Encode any encodable value (a reply, a body given as a dict); raises `InvalidMessage`."""
    try:
        if type(value) in PLAIN_TYPES:
            return ENCODERS[encoding](value)
        body = msgspec.to_builtins(_dump(value) if _is_pydantic(type(value)) else value)
        check_plain(body)
        encoded = ENCODERS[encoding](body)
        check_values(encoded, encoding)
        return encoded
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise _misfit(type(value).__name__, error) from None


def decode_plain(body: bytes, encoding: Encoding) -> Any:
    """The plain data of an encoded body; raises `InvalidMessage`."""
    try:
        if encoding == "json":
            check_json_depth(body)
        else:
            check_values(body, encoding)
        value = _DECODE[encoding](body)
        check_plain(value)
        return value
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise _misfit("body", error) from None


def _misfit(name: str, error: Exception) -> InvalidMessage:
    errors = getattr(error, "errors", None)
    if callable(errors):  # pydantic's ValidationError
        first = errors()[0]
        path = "$" + "".join(
            f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"]
        )
        return InvalidMessage(f"{name} does not fit: {first['msg']} - at `{path}`", path=path)
    misfit = invalid(error)
    return InvalidMessage(f"{name}: {misfit}", path=misfit.path)


def _holds_float_or_any(cls: type, info: Declared) -> bool:
    """Whether a value of `cls` can hold a float or untyped data, so that it must be walked.

    `info` is what msgspec reads from the class; raises what it does if that is unknown.
    """
    seen: set[int] = set()

    def walk(node: Any) -> bool:
        if isinstance(node, msgspec.inspect.FloatType | msgspec.inspect.AnyType):
            return True
        if isinstance(node, msgspec.inspect.CustomType | msgspec.inspect.RawType):
            return True
        if id(node) in seen:
            return True  # a recursive type has no bound on its depth
        if isinstance(node, msgspec.inspect.Type):
            seen.add(id(node))
            found = any(walk(getattr(node, field)) for field in node.__struct_fields__)
            seen.discard(id(node))
            return found
        if isinstance(node, msgspec.inspect.Field):
            return walk(node.type)
        if isinstance(node, tuple):
            return any(walk(item) for item in node)
        return False

    return walk(msgspec.inspect.type_info(cls) if info is ANY else info)
