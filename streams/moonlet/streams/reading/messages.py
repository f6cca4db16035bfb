"""Reading a stream's subjects in order, to the end or for ever.

The first messages come by batched direct get, which needs no consumer; a long rest by one pull
consumer into one inbox, which is about three times as fast.
"""

from collections.abc import AsyncGenerator
from typing import Final

from moonlet.core.errors import Unavailable
from moonlet.streams.api import StoredMessage, StreamGone
from moonlet.streams.bus import Bus
from moonlet.streams.reading.blobs import stands_apart, with_record
from moonlet.streams.reading.history_reader import HistoryReader
from moonlet.telemetry import get_logger

log = get_logger(__name__)

FIRST_BATCH: Final = 256
"""Messages read by direct get before a consumer is worth its making."""

STALLS_MAX: Final = 10
"""Readers in a row that gave nothing, after which the server is said to be away."""


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
    # By the leader: a consumer may live where a replica lags, and say that there is nothing more.
    last = None if follow else await js.last_message(stream, subject)
    end = 0 if last is None else last.sequence
    stalls = 0
    while follow or start <= end:
        reader = HistoryReader(bus, stream, [subject], start=start, name="replay")
        try:
            if await _begins(reader):
                while (follow or start <= end) and not reader.broken:
                    await reader.wait()
                    if batch := reader.take():
                        stalls = 0
                        start = batch[-1].sequence + 1
                        yield await _whole(bus, stream, batch)
        finally:
            await reader.close()
        if start > end and not follow:
            return
        stalls += 1
        if stalls > STALLS_MAX:
            raise Unavailable(
                f"stream {stream} stopped answering behind sequence {start - 1}: see the server's"
                " log, then read again"
            )
        await bus.backoff(stalls)


async def _begins(reader: HistoryReader) -> bool:
    try:
        await reader.open()
    except StreamGone:
        raise
    except Unavailable as error:
        log.info("a history waits for the server", error=str(error))
        return False
    return True


async def _whole(bus: Bus, stream: str, batch: list[StoredMessage]) -> list[StoredMessage]:
    """The batch with records that stand apart brought in; nearly always as it is."""
    if not any(map(stands_apart, batch)):
        return batch
    return [await with_record(bus, stream, message) for message in batch]
