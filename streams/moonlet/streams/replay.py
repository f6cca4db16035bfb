"""Reading a stream's subjects in order, to the end or for ever.

The first messages come by batched direct get, which needs no consumer; a long rest by one pull
consumer into one inbox, which is about three times as fast.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Final

from moonlet.core.errors import Unavailable
from moonlet.streams.api import Delivery, PullStatus, StoredMessage
from moonlet.streams.blobs import BLOB_HEADER, with_record
from moonlet.streams.bus import Bus

FIRST_BATCH: Final = 256
"""Messages read by direct get before a consumer is worth its making."""

PULL_BATCH: Final = 2_000
"""Messages asked for at a time from the consumer; twice as many may be under way."""

PULL_EXPIRES: Final = 1.0
"""Seconds; short, since a pull is lost with its connection."""

STALL: Final = 5.0
"""Seconds without a message or a status after which the reader starts over."""


async def read_messages(
    bus: Bus,
    stream: str,
    subject: str,
    *,
    start: int = 1,
    follow: bool = False,
    wide: bool = False,
) -> AsyncGenerator[list[StoredMessage], None]:
    """Batches of the messages of `subject` from sequence `start` on, in order.

    Ends at the end as of its beginning; with `follow` it never does. Survives reconnects: it
    starts over behind the last message it gave. Raises `Unavailable` if the server stays away.
    With `wide`, for few messages among very many, no direct get is made: the server does that in
    the connection's own turn, at about a microsecond a message passed over, and all else waits.
    """
    js = bus._js
    if not wide:
        batch, more = await js.read_batch(stream, subject, start=start, batch=FIRST_BATCH)
        if batch:
            start = batch[-1].sequence + 1
            yield await _whole(bus, stream, batch)
        if not more and not follow:
            return
    stalls = 0
    while True:
        reader = _Reader(bus, stream, subject, start)
        async with aclosing(reader.batches(follow)) as batches:
            async for batch in batches:
                stalls = 0
                start = batch[-1].sequence + 1
                yield await _whole(bus, stream, batch)
        if reader.finished:
            return
        stalls += 1
        if stalls > 10:
            raise Unavailable(
                f"stream {stream} stopped answering behind sequence {start - 1}: see the server's"
                " log, then read again"
            )
        await bus.backoff(stalls)


async def _whole(bus: Bus, stream: str, batch: list[StoredMessage]) -> list[StoredMessage]:
    """The batch with records that stand apart brought in; nearly always as it is."""
    if not any(message.headers and BLOB_HEADER in message.headers for message in batch):
        return batch
    return [await with_record(bus, stream, message) for message in batch]


class _Reader:
    """One consumer's life: from `start` until the end, a gap, or silence."""

    def __init__(self, bus: Bus, stream: str, subject: str, start: int) -> None:
        self._bus = bus
        self._stream = stream
        self._config: dict[str, Any] = {
            "name": f"replay-{bus.entropy.token()}",
            "deliver_policy": "by_start_sequence",
            "opt_start_seq": start,
            "ack_policy": "none",
            "filter_subject": subject,
            "inactive_threshold": 30 * 10**9,
            "mem_storage": True,
            "num_replicas": 1,
        }
        self._arrived: list[StoredMessage] = []
        self._wake = asyncio.Event()
        self._next = 1
        self._requested = 0
        self._broken = False
        self.finished = False

    async def batches(self, follow: bool) -> AsyncGenerator[list[StoredMessage], None]:
        js = self._bus._js
        try:
            info = await js.create_consumer(self._stream, self._config)
        except Unavailable:
            return
        left = int(info["num_pending"])
        pull = await js.open_pull(
            self._stream, self._config["name"], self._on_delivery, self._on_status
        )
        try:
            while follow or left > 0:
                if self._requested <= PULL_BATCH:
                    self._requested += PULL_BATCH
                    pull.request(PULL_BATCH, expires=PULL_EXPIRES)
                if not self._arrived and not await self._woken():
                    return
                if self._arrived:
                    batch, self._arrived = self._arrived, []
                    left -= len(batch)
                    yield batch
                if self._broken:
                    return
            self.finished = True
        finally:
            await pull.close()
            try:
                await js.delete_consumer(self._stream, self._config["name"])
            except Unavailable:
                pass  # it ends by itself after inactive_threshold

    async def _woken(self) -> bool:
        self._wake.clear()
        try:
            async with asyncio.timeout(STALL):
                await self._wake.wait()
        except TimeoutError:
            return False
        return True

    def _on_delivery(self, delivery: Delivery) -> None:
        if delivery.consumer_sequence != self._next or self._broken:
            self._broken = True
        else:
            self._next += 1
            self._requested -= 1
            self._arrived.append(
                StoredMessage(
                    delivery.subject,
                    delivery.sequence,
                    delivery.time,
                    delivery.headers,
                    delivery.data,
                )
            )
        self._wake.set()

    def _on_status(self, status: PullStatus) -> None:
        if status.code in (404, 408):
            self._requested -= status.missing or PULL_BATCH
        else:
            self._broken = True
        self._wake.set()
