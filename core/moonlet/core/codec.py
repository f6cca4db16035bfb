"""Bytes and back: JSON or MessagePack by msgspec, zstd above a threshold, all bounds checked first.

Everything that is read here comes from outside. What is refused is refused with
`InvalidMessage`; no RecursionError, ValueError or msgspec error leaves this module.
"""

import math
import re
from collections.abc import Callable
from typing import Any, Final, Generic, Literal, TypeVar

import msgspec
import zstandard

from moonlet.core.errors import InvalidMessage, PayloadTooLarge

Encoding = Literal["json", "msgpack"]
ENCODING_HEADER: Final = "Moonlet-Encoding"
"""Names the encoding of a payload, `json` if absent; `+zstd` is added to a compressed one."""

MAX_DEPTH: Final = 64
"""How deep arrays and objects of a body may nest."""

_RECORD_DEPTH: Final = MAX_DEPTH + 8
"""As deep as an envelope or a commit gets around a body of `MAX_DEPTH`."""

COMPRESS_ABOVE: Final = 16_384
"""Payloads of more bytes than this are compressed."""

MAX_PLAIN: Final = 16_777_216
"""A compressed payload may hold at most this many bytes."""

_HEADERS: Final[dict[str, tuple[Encoding, bool]]] = {
    "json": ("json", False),
    "msgpack": ("msgpack", False),
    "json+zstd": ("json", True),
    "msgpack+zstd": ("msgpack", True),
}

# How msgspec ends its messages: "… - at `$.a[0]`", for keys "… - at `key` in `$.a`".
_PATH: Final = re.compile(r"`(\$[^`]*)`$")

MAX_COMMAND_PLAIN: Final = MAX_PLAIN // 2
"""The same for a command, so that its commit, which repeats it, is readable in any case."""

T = TypeVar("T")


class Codec(Generic[T]):
    """The encoder and decoder of one type in one encoding. Holds no state between calls."""

    __slots__ = ("_decode", "_guard", "encode_known", "encoding")

    def __init__(self, type_: Any, encoding: Encoding) -> None:
        self.encoding: Encoding = encoding
        module: Any = msgspec.json if encoding == "json" else msgspec.msgpack
        self.encode_known: Callable[[T], bytes] = module.Encoder().encode
        """The encoder itself, for values whose parts are known to be encodable."""
        self._decode = module.Decoder(type_).decode
        self._guard = _check_record_depth if encoding == "json" else _no_guard

    def encode(self, value: T) -> bytes:
        """The bytes of `value`; raises `InvalidMessage` if it isn't of encodable types."""
        try:
            return self.encode_known(value)
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            raise InvalidMessage(f"can't be encoded: {_text(error)}") from None

    def decode(self, data: bytes) -> T:
        """The value of `data`; raises `InvalidMessage` with the path of the field at fault."""
        try:
            self._guard(data)
            value: T = self._decode(data)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise invalid(error) from None
        return value


def _check_record_depth(data: bytes) -> None:
    check_json_depth(data, _RECORD_DEPTH)


def _no_guard(data: bytes) -> None:
    """MessagePack states its own lengths: msgspec's recursion limit holds, then `check_plain`."""


def invalid(error: Exception) -> InvalidMessage:
    """The `InvalidMessage` for an error of a decoder, with the path of the field."""
    text = _text(error)
    path = _PATH.search(text)
    return InvalidMessage(f"the body does not fit: {text}", path=path[1] if path else "$")


def _text(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return f"nested deeper than {MAX_DEPTH}"
    return str(error) or type(error).__name__


def check_json_depth(data: bytes, limit: int = MAX_DEPTH) -> None:
    """Refuse JSON nested deeper than `limit`, before it is decoded.

    Length, then counting brackets, is enough nearly always; only what has more is scanned.
    """
    data = bytes(data)  # it may be a Raw
    if len(data) <= limit or data.count(b"[") + data.count(b"{") <= limit:
        return
    depth = 0
    in_string = escaped = False
    for byte in data:
        if in_string:
            if escaped:
                escaped = False
            elif byte == 0x5C:
                escaped = True
            elif byte == 0x22:
                in_string = False
        elif byte == 0x22:
            in_string = True
        elif byte in b"[{":
            depth += 1
            if depth > limit:
                raise InvalidMessage(f"the body is nested deeper than {MAX_DEPTH}; flatten it")
        elif byte in b"]}":
            depth -= 1


def check_plain(value: Any) -> None:
    """Refuse NaN, infinities, MessagePack extensions and depth over `MAX_DEPTH`; names the path.

    JSON would write NaN as null and MessagePack would keep it: both would change or break a
    stored record, so neither gets that far.
    """
    stack: list[tuple[Any, str, int]] = [(value, "$", 0)]
    while stack:
        item, path, depth = stack.pop()
        if isinstance(item, float):
            if not math.isfinite(item):
                raise InvalidMessage(
                    f"{path} is {item}: numbers must be finite; leave the field out or use null",
                    path=path,
                )
        elif isinstance(item, dict | list | tuple):
            if depth >= MAX_DEPTH:
                raise InvalidMessage(f"the body is nested deeper than {MAX_DEPTH}; flatten it")
            if isinstance(item, dict):
                stack.extend((v, f"{path}.{k}", depth + 1) for k, v in item.items())
                stack.extend((k, f"key of {path}", 0) for k in item if isinstance(k, float))
            else:
                stack.extend((v, f"{path}[{i}]", depth + 1) for i, v in enumerate(item))
        elif isinstance(item, msgspec.msgpack.Ext):
            raise InvalidMessage(
                f"{path} is a MessagePack extension ({item.code}), which JSON can't show: use"
                " text or numbers",
                path=path,
            )


def pack(data: bytes, encoding: Encoding) -> tuple[bytes, str]:
    """The payload to store and the value of its `ENCODING_HEADER` ('' : leave it out)."""
    if len(data) <= COMPRESS_ABOVE:
        return data, "" if encoding == "json" else encoding
    return zstandard.compress(data), f"{encoding}+zstd"


def unpack(payload: bytes, header: str | None, limit: int = MAX_PLAIN) -> tuple[bytes, Encoding]:
    """Undo `pack`. Raises `InvalidMessage` or, for what holds over `limit`, `PayloadTooLarge`."""
    known = _HEADERS.get(header or "json")
    if known is None:
        raise InvalidMessage(f"unknown encoding {header!a}: expected json or msgpack, or +zstd")
    encoding, compressed = known
    if not compressed:
        return payload, encoding
    try:
        size = zstandard.frame_content_size(payload)
        if size < 0:
            raise InvalidMessage("the compressed payload does not state its size: state it")
        if size > limit:
            raise PayloadTooLarge(
                f"a compressed payload claims {size} bytes, over the limit of {limit}",
                limit=limit,
                value=size,
            )
        plain = zstandard.ZstdDecompressor().decompress(payload, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise InvalidMessage(f"the payload can't be decompressed: {error}") from None
    return plain, encoding
