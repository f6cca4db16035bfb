"""Digests: of a stored commit, which chain an agent's history, and of a state."""

from hashlib import blake2b
from typing import Any, Final

import msgspec

DIGEST_HEADER: Final = "Moonlet-Digest"
"""Carries the digest of the commit stored beside it."""

GENESIS: Final = ""
"""The `previous_digest` of an agent's first commit."""


def record_digest(record: bytes) -> str:
    """Of a commit's uncompressed bytes, which hold the digest before: 128 bits as hex."""
    return blake2b(record, digest_size=16).hexdigest()


def state_digest(state: Any) -> str:
    """Of a state, independent of the order of its dicts and sets: 128 bits as hex."""
    data = state.model_dump(mode="python") if hasattr(state, "model_dump") else state
    return record_digest(msgspec.msgpack.encode(data, order="sorted"))
