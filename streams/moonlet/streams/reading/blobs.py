"""Outcomes too large for one message: the record's bytes in chunks, its digest in the commit.

The chunks are stored before the commit that names them, under the record's own digest; storing
them twice is harmless, and chunks that no commit names are never read.
"""

import asyncio
from typing import Final

import msgspec

from moonlet.core.codec import MAX_PLAIN
from moonlet.core.digest import DIGEST_HEADER
from moonlet.core.errors import Corrupt
from moonlet.streams.api import StoredMessage
from moonlet.streams.bus import Bus
from moonlet.streams.reading.facts import LOOKS_MAX
from moonlet.streams.storing import store

BLOB_HEADER: Final = "Moonlet-Blob"
"""Of a commit whose record stands apart: how many chunks it has."""

HEADER_ROOM: Final = 1_024
"""Bytes of a message that its headers and subject may take."""


async def store_apart(bus: Bus, digest: str, payload: bytes) -> tuple[bytes, dict[str, str]]:
    """Store a packed record's bytes; returns the commit's payload and headers that name them.

    Raises what the server says; then nothing names the chunks.
    """
    size = bus.max_payload - HEADER_ROOM
    chunks = [payload[start : start + size] for start in range(0, len(payload), size)]
    for number, chunk in enumerate(chunks):
        subject = bus.subjects.blob(digest, number)
        await store(bus, subject, chunk, id=subject, timeout=5.0)
    return digest.encode(), {DIGEST_HEADER: digest, BLOB_HEADER: str(len(chunks))}


def stands_apart(message: StoredMessage) -> bool:
    """Whether the message's record is elsewhere, to be brought in by `with_record`."""
    return message.headers is not None and BLOB_HEADER in message.headers


async def with_record(bus: Bus, stream: str, message: StoredMessage) -> StoredMessage:
    """The message with its record's bytes, wherever they stand; `Corrupt` if they are gone."""
    headers = message.headers
    if not headers or not stands_apart(message):
        return message
    count = int(headers[BLOB_HEADER]) if headers[BLOB_HEADER].isdigit() else 0
    digest = headers.get(DIGEST_HEADER, "")
    store = bus.topology.stream("outcomes")
    most = 1 + MAX_PLAIN // (bus.max_payload - HEADER_ROOM)
    if not 1 <= count <= most or not digest.isalnum():
        raise Corrupt(
            f"{stream}: the message at sequence {message.sequence} names no readable outcome",
            stream=stream,
            sequence=message.sequence,
        )
    chunks = await _chunks(bus, store, [bus.subjects.blob(digest, n) for n in range(count)])
    if any(chunk is None for chunk in chunks):
        raise Corrupt(
            f"{stream}: the outcome of the commit at sequence {message.sequence} is gone from"
            f" {store}: restore that stream from a backup",
            stream=stream,
            sequence=message.sequence,
        )
    kept = {key: value for key, value in headers.items() if key != BLOB_HEADER}
    data = b"".join(chunk.data for chunk in chunks if chunk is not None)
    return msgspec.structs.replace(message, data=data, headers=kept)


async def _chunks(bus: Bus, store: str, subjects: list[str]) -> list[StoredMessage | None]:
    """The last of each subject, None for one that isn't there.

    On a cluster that is believed after some two seconds: a server that was replaced as the leader
    may not have it, nor know that yet.
    """
    attempt = 0
    while True:
        found = await asyncio.gather(*(bus._js.last_message(store, each) for each in subjects))
        attempt += 1
        if bus.topology.replicas == 1 or attempt >= LOOKS_MAX or all(found):
            return list(found)
        await bus.backoff(attempt)
