"""A key-value bucket with revisions, as the server lays it out: one message per key.

Writes are compare-and-set by revision. A time to live is set at every write, so renewing is
writing again. There are no delete markers: they would lengthen every time to live.
"""

from asyncio import Future
from typing import Final

import msgspec

from moonlet.core.errors import Conflict
from moonlet.core.marks import reached
from moonlet.streams.api import NoResponders, PubAck, ServerRefused, StoredMessage, StreamGone
from moonlet.streams.bus import Bus
from moonlet.streams.codes import is_conflict, is_missing

READ_BATCH: Final = 1_000
"""Entries read at a time."""

UNHEARD_MAX: Final = 5
"""How often a write is sent that nobody takes, within half a second: on a cluster it takes a moment
until all servers know who leads a bucket that was just made."""

TTL: Final = "Nats-TTL"

TTL_MAX: Final = 86_400
"""Seconds: longer times to live are taken for this."""


class Entry(msgspec.Struct, frozen=True):
    """A key's value and revision (the bucket's sequence); `time` is the server's, in ns.

    `ttl` is how many seconds it was written for, 0 for ever. That it stands is no proof that these
    are not over: a server may forget to end them.
    """

    key: str
    value: bytes
    revision: int
    time: int
    ttl: int = 0


class Bucket:
    """One bucket, read from its leader."""

    def __init__(self, bus: Bus, stream: str) -> None:
        self._bus = bus
        self._js = bus._js
        self._stream = stream
        self._prefix = f"$KV.{stream.removeprefix('KV_')}."

    async def get(self, key: str) -> Entry | None:
        """The key's entry; None if it was never written, was deleted or has expired."""
        message = await self._js.last_message(self._stream, self._prefix + key)
        return None if message is None or not message.data else self._entry(message)

    def _entry(self, message: StoredMessage) -> Entry:
        key = message.subject.removeprefix(self._prefix)
        ttl = (message.headers or {}).get(TTL, "").removesuffix("s")
        return Entry(
            key,
            message.data,
            message.sequence,
            message.time,
            min(int(ttl), TTL_MAX) if ttl.isdecimal() else 0,
        )

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

        `ttl` is in whole seconds, from 1. Raises `Conflict` if the key has another revision,
        `NoResponders` if nobody takes it for half a second: then nothing was written.
        """
        headers: dict[str, str] = {}
        if revision is not None:
            headers["Nats-Expected-Last-Subject-Sequence"] = str(revision)
        if ttl is not None:
            headers[TTL] = f"{ttl}s"
        for attempt in range(1, UNHEARD_MAX + 1):
            future: Future[PubAck] = self._js.publish(
                self._prefix + key, value, headers=headers or None, timeout=timeout
            )
            try:
                return (await future).sequence
            except NoResponders:  # so nothing was written
                if attempt == UNHEARD_MAX:
                    raise
            except ServerRefused as error:
                if is_conflict(error):
                    raise Conflict(f"{key} was written by another: {error.description}") from None
                raise
            await self._bus.backoff(attempt)
        raise AssertionError("the last attempt returns or raises")

    async def delete(self, key: str) -> None:
        """Remove the key without a marker; none is no error."""
        await self._js.purge_stream(self._stream, self._prefix + key)

    async def entries(self, filter: str = ">") -> list[Entry]:
        """The entries under `filter`, sorted by key, no older than the leader's as of now.

        Raises `StreamGone` if there is no such bucket.
        """
        found = await self.written(filter)
        standing = await self._js.stream_subjects(self._stream, self._prefix + filter)
        return [entry for entry in found if self._prefix + entry.key in standing]

    async def written(self, filter: str = ">") -> list[Entry]:
        """The same for less, where nothing is ever deleted: of what was, some may show.

        Any replica gives the pages. Whatever was written since the state that it has of the bucket
        stands behind the last entry that it gave, since no sequence is used twice: so the leader is
        asked for what comes there.
        """
        subject = self._prefix + filter
        try:
            last = await self._js.last_message(self._stream, subject)
        except ServerRefused as error:
            if is_missing(error):
                raise StreamGone(
                    f"there is no bucket {self._stream}: start a host, which makes it",
                    stream=self._stream,
                ) from None
            raise
        found: dict[str, StoredMessage] = {}
        end = 0
        more = last is not None
        while more:
            messages, left = await self._js.read_batch(
                self._stream, subject, start=end + 1, batch=READ_BATCH
            )
            for message in messages:
                found[message.subject] = message
                end = message.sequence
            more = bool(messages and left)
        while last is not None and end < last.sequence:
            reached("a replica that lags lacks entries of a bucket")
            newer = await self._js.next_message(self._stream, subject, start=end + 1)
            if newer is None:
                break
            found[newer.subject] = newer
            end = newer.sequence
        return [self._entry(found[name]) for name in sorted(found) if found[name].data]
