"""Keys that stand twice in one object: which of the two counts is each reader's own choice."""

import json
from collections import Counter
from typing import Any, NoReturn

import msgspec

from moonlet.core.codec import Encoding, check_record, outside_texts, value_heads
from moonlet.core.errors import InvalidMessage

_JSON_DECODE = msgspec.json.Decoder().decode
_JSON_ENCODE = msgspec.json.Encoder().encode


def refuse_repeated_keys(data: bytes, encoding: Encoding) -> None:
    """Raise `InvalidMessage` if an object of `data` has a key twice, or as `check_record`.

    What can't be decoded is let pass. What is encoded again as it came has none. Of the rest keys
    are counted, in the bytes and in what was decoded, which has each once.
    """
    check_record(data, encoding)
    try:
        if encoding == "json":
            value = _JSON_DECODE(data)
            if _JSON_ENCODE(value) == data:
                return
            there = sum(part.count(b":") for part in outside_texts(data))
        else:
            value = msgspec.msgpack.decode(data)
            if msgspec.msgpack.encode(value) == data:
                return
            there = sum(map(_entries, value_heads(data)))
    except (msgspec.MsgspecError, ValueError, TypeError, OverflowError, RecursionError):
        return  # whoever decodes it says what is wrong
    if there != _count(value):
        _refuse(data, encoding)


def _entries(head: bytes) -> int:
    """How many entries a MessagePack value's first bytes say that it has, if it is a map."""
    first = head[0]
    if 0x80 <= first <= 0x8F:
        return first & 0x0F
    return int.from_bytes(head[1:]) if first in (0xDE, 0xDF) else 0


def _count(value: Any) -> int:
    """The keys of all objects in plain data."""
    count, waiting = 0, [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            count += len(item)
            waiting += item.values()
        elif isinstance(item, list):
            waiting += item
    return count


def _refuse(data: bytes, encoding: Encoding) -> NoReturn:
    found: list[str] = []

    def once(pairs: list[tuple[str, Any]]) -> None:
        found.extend(key for key, times in Counter(key for key, _ in pairs).items() if times > 1)

    if encoding == "json":
        try:
            json.loads(data, object_pairs_hook=once)
        except (ValueError, RecursionError):
            pass
    name = f"the key {found[0][:100]!r}" if found else "a key"
    raise InvalidMessage(
        f"{name} stands twice in one object, and readers may take either: send it once",
        path=found[0][:100] if found else "$",
    )
