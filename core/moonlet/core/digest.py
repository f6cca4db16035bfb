"""Digests: of a stored commit, which chain an agent's history, and of a state."""

import dataclasses
from functools import partial
from hashlib import blake2b
from typing import Any, Final

import msgspec

DIGEST_HEADER: Final = "Moonlet-Digest"
"""Carries the digest of the commit stored beside it."""

GENESIS: Final = ""
"""The `previous_digest` of an agent's first commit."""


record_hash: Final = partial(blake2b, digest_size=16)
"""Of a commit's uncompressed bytes, which hold the digest before: 128 bits."""


def record_digest(record: bytes) -> str:
    """`record_hash` as hex, as it is written down."""
    return record_hash(record).hexdigest()


def state_digest(state: Any) -> str:
    """Of a state, independent of the order of its dicts and sets: 128 bits as hex."""
    return record_digest(canonical(state))


def canonical(value: Any) -> bytes:
    """Bytes that are equal for equal values, whatever the order of their dicts and sets."""
    try:
        return msgspec.msgpack.encode(value, order="sorted")
    except (TypeError, OverflowError):  # keys that aren't text, pydantic, integers over 64 bits
        return msgspec.msgpack.encode(_ordered(value))


def _ordered(value: Any) -> Any:
    if hasattr(value, "model_dump"):
        value = value.model_dump(mode="python")
    elif isinstance(value, msgspec.Struct):
        value = msgspec.structs.asdict(value)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return sorted(
            [msgspec.msgpack.encode(_ordered(key)), msgspec.msgpack.encode(_ordered(item))]
            for key, item in value.items()
        )
    if isinstance(value, set | frozenset):
        return sorted(msgspec.msgpack.encode(_ordered(item)) for item in value)
    if isinstance(value, list | tuple):
        return [_ordered(item) for item in value]
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        return msgspec.msgpack.Ext(0, hex(value).encode())
    return value
