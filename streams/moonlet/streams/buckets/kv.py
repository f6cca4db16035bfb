"""A key-value bucket with revisions, as the server lays it out: one message per key.

Writes are compare-and-set by revision. A time to live is set at every write, so renewing is
writing again. There are no delete markers: they would lengthen every time to live.
"""

from asyncio import Future
from typing import Final

import msgspec

from moonlet.core.errors import Conflict
from moonlet.streams.api import PubAck, ServerRefused
from moonlet.streams.bus import Bus
from moonlet.streams.codes import is_conflict

READ_BATCH: Final = 1_000
"""Entries read at a time."""


class Entry(msgspec.Struct, frozen=True):
    """A key's value and revision (the bucket's sequence); `time` is the server's, in ns."""

    key: str
    value: bytes
    revision: int
    time: int


class Bucket:
    """One bucket, read from its leader."""

    def __init__(self, bus: Bus, stream: str) -> None:
        self._js = bus._js
        self._stream = stream
        self._prefix = f"$KV.{stream.removeprefix('KV_')}."

    async def get(self, key: str) -> Entry | None:
        """The key's entry; None if it was never written, was deleted or has expired."""
        message = await self._js.last_message(self._stream, self._prefix + key)
        if message is None or not message.data:
            return None
        return Entry(key, message.data, message.sequence, message.time)

    async def put(
        self,
        key: str,
        value: bytes,
        *,
        revision: int | None = None,
        ttl: int | None = None,
        timeout: float = 5.0,
    ) -> int:
        """Write; returns the new revision. `revision` is the one expected (0: no such key).

        `ttl` is in whole seconds, from 1. Raises `Conflict` if the key has another revision.
        """
        headers: dict[str, str] = {}
        if revision is not None:
            headers["Nats-Expected-Last-Subject-Sequence"] = str(revision)
        if ttl is not None:
            headers["Nats-TTL"] = f"{ttl}s"
        future: Future[PubAck] = self._js.publish(
            self._prefix + key, value, headers=headers or None, timeout=timeout
        )
        try:
            return (await future).sequence
        except ServerRefused as error:
            if is_conflict(error):
                raise Conflict(f"{key} was written by another: {error.description}") from None
            raise

    async def delete(self, key: str) -> None:
        """Remove the key without a marker; none is no error."""
        await self._js.purge_stream(self._stream, self._prefix + key)

    async def entries(self, filter: str = ">") -> list[Entry]:
        """The entries under `filter`, sorted by key; a replica that lags may show older ones."""
        found: list[Entry] = []
        start = 1
        while True:
            messages, more = await self._js.read_batch(
                self._stream, self._prefix + filter, start=start, batch=READ_BATCH
            )
            found += [
                Entry(m.subject.removeprefix(self._prefix), m.data, m.sequence, m.time)
                for m in messages
                if m.data
            ]
            if not more or not messages:
                return sorted(found, key=lambda entry: entry.key)
            start = messages[-1].sequence + 1
