"""Bytes and back: JSON or MessagePack by msgspec, zstd above a threshold, all bounds checked first.

Everything that is read here comes from outside. What is refused is refused with
`InvalidMessage`; no RecursionError, ValueError or msgspec error leaves this module.
"""

import math
import re
from collections.abc import Callable, Iterator
from typing import Any, Final, Generic, Literal, TypeVar

import msgspec
import zstandard

from moonlet.core.errors import InvalidMessage, PayloadTooLarge

Encoding = Literal["json", "msgpack"]
ENCODING_HEADER: Final = "Moonlet-Encoding"
"""Names the encoding of a payload, `json` if absent; `+zstd` is added to a compressed one."""

MAX_DEPTH: Final = 64
"""How deep arrays and objects of a body may nest."""

MAX_VALUES: Final = 524_288
"""How many values a body may hold, those in others counted: decoded it takes 50 MB at most.

Without this bound a message of 300 bytes took 1.7 GB, and half a minute.
"""

MAX_RECORD_VALUES: Final = 2 * MAX_VALUES
"""The same for a record, which holds a command and more."""

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

_PIECE: Final = 65_536
_NO_BRACKETS: Final = bytes(byte for byte in range(256) if byte not in b"[]{}")

MAX_COMMAND_PLAIN: Final = MAX_PLAIN // 2
"""The same for a command, so that its commit, which repeats it, is readable in any case."""

T = TypeVar("T")


class Codec(Generic[T]):
    """The encoder and decoder of one type in one encoding. Holds no state between calls."""

    __slots__ = ("_decode", "encode_known", "encoding")

    def __init__(self, type_: Any, encoding: Encoding) -> None:
        self.encoding: Encoding = encoding
        module: Any = msgspec.json if encoding == "json" else msgspec.msgpack
        self.encode_known: Callable[[T], bytes] = module.Encoder().encode
        """The encoder itself, for values whose parts are known to be encodable."""
        self._decode = module.Decoder(type_).decode

    def encode(self, value: T) -> bytes:
        """The bytes of `value`; raises `InvalidMessage` if it isn't of encodable types."""
        try:
            return self.encode_known(value)
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            raise InvalidMessage(f"can't be encoded: {_text(error)}") from None

    def decode(self, data: bytes) -> T:
        """The value of `data`; raises `InvalidMessage` with the path of the field at fault."""
        try:
            check_record(data, self.encoding)
            value: T = self._decode(data)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise invalid(error) from None
        return value


def check_record(data: bytes, encoding: Encoding) -> None:
    """Refuse an envelope or a commit, before it is decoded, that is too deep or holds too much.

    MessagePack states its own lengths: msgspec's recursion limit holds, then `check_plain`.
    """
    if encoding == "json":
        check_json_depth(data, _RECORD_DEPTH, MAX_RECORD_VALUES)
    else:
        check_values(data, encoding, MAX_RECORD_VALUES)


def invalid(error: Exception) -> InvalidMessage:
    """The `InvalidMessage` for an error of a decoder, with the path of the field."""
    text = _text(error)
    path = _PATH.search(text)
    return InvalidMessage(f"the body does not fit: {text}", path=path[1] if path else "$")


def _text(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return f"nested deeper than {MAX_DEPTH}"
    return str(error) or type(error).__name__


def check_json_depth(data: bytes, limit: int = MAX_DEPTH, most: int = MAX_VALUES) -> None:
    """Refuse JSON nested deeper than `limit`, or of over `most` values, before it is decoded.

    Length, then counting brackets and commas, is enough nearly always; only what has more, which
    may stand in its texts, is looked into.
    """
    data = bytes(data)  # it may be a Raw
    size = len(data)
    if size <= limit:
        return
    brackets = data.count(b"[") + data.count(b"{")
    many = size > most and brackets + data.count(b",") + data.count(b":") > most
    if brackets <= limit and not many:
        return
    values, nested = 0, bytearray()
    for part in outside_texts(data):
        values += sum(map(part.count, (b"[", b"{", b",", b":")))
        if values > most:
            raise _too_many(most)
        nested += part.translate(None, _NO_BRACKETS)
    depth = 0
    for byte in nested:
        if byte in b"[{":
            depth += 1
            if depth > limit:
                raise InvalidMessage(f"the body is nested deeper than {MAX_DEPTH}; flatten it")
        else:
            depth -= 1


def outside_texts(data: bytes) -> Iterator[bytes]:
    """What of JSON stands in no text, piece by piece, without its copy as a whole."""
    plain = data.replace(b"\\\\", b"").replace(b'\\"', b"")
    inside = 0
    for start in range(0, len(plain), _PIECE):
        between = plain[start : start + _PIECE].split(b'"')
        yield b"".join(between[inside::2])
        inside = (inside + len(between) - 1) & 1


def check_values(data: bytes, encoding: Encoding, most: int = MAX_VALUES) -> None:
    """Refuse what holds over `most` values: decoded, each may take ninety times its one byte."""
    if len(data) <= most:
        return
    if encoding == "json":
        check_json_depth(data, _RECORD_DEPTH, most)
        return
    data = bytes(data)
    values = position = 0
    size, take = len(data), int.from_bytes
    while position < size:
        values += 1
        if values > most:
            raise _too_many(most)
        fixed, length, more = _MSGPACK_SIZES[data[position]]
        position += fixed
        if length:
            position += take(data[position - length : position]) + more


def value_heads(data: bytes) -> Iterator[bytes]:
    """The first bytes of each value of MessagePack: its kind, and the length that they state."""
    position, take = 0, int.from_bytes
    while position < len(data):
        fixed, length, more = _MSGPACK_SIZES[data[position]]
        yield data[position : position + fixed]
        position += fixed
        if length:
            position += take(data[position - length : position]) + more


def _msgpack_sizes() -> list[tuple[int, int, int]]:
    """By a value's first byte: how many it takes, how many of these say how many follow, and more.

    Containers count without what they hold, which follows them like everything else.
    """
    sizes = [(1, 0, 0)] * 256
    for length in range(32):
        sizes[0xA0 + length] = 1 + length, 0, 0
    for first, size in {0xCA: 5, 0xCB: 9, 0xDC: 3, 0xDD: 5, 0xDE: 3, 0xDF: 5}.items():
        sizes[first] = size, 0, 0
    for power in range(5):
        width = 2**power
        sizes[0xD4 + power] = 2 + width, 0, 0  # an extension: a byte for its kind
        if power < 4:
            sizes[0xCC + power] = sizes[0xD0 + power] = 1 + width, 0, 0
        if power < 3:
            sizes[0xC4 + power] = sizes[0xD9 + power] = 1 + width, width, 0
            sizes[0xC7 + power] = 1 + width, width, 1
    return sizes


_MSGPACK_SIZES: Final = _msgpack_sizes()


def _too_many(most: int) -> InvalidMessage:
    return InvalidMessage(
        f"the body holds over {most} values: split it, or store them elsewhere and send a reference"
    )


def check_plain(value: Any) -> None:
    """Refuse NaN, infinities, MessagePack extensions and depth over `MAX_DEPTH`; names the path.

    JSON would write NaN as null and MessagePack would keep it: both would change or break a
    stored record, so neither gets that far. Level by level, and with no path until one is needed:
    it takes no more memory than a reference to each value.
    """
    level: list[Any] = [value]
    for depth in range(MAX_DEPTH + 1):
        below: list[Any] = []
        for item in level:
            kind = type(item)
            if kind in _FINE or (kind is float and math.isfinite(item)):
                continue
            if kind not in _HOLDING or depth == MAX_DEPTH:
                _explain(value)
                return
            if kind is dict:
                below += item.values()
                below += [key for key in item if type(key) is float]
            else:
                below += item
        if not below:
            return
        level = below


_FINE: Final = frozenset({str, int, bool, type(None), bytes})
_HOLDING: Final = frozenset({dict, list, tuple})


def _explain(value: Any) -> None:
    """Raise for the first thing in `value` that is not plain, if there is any."""
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
