"""Reading a stream's subjects in order, to the end or for ever.

The first messages come by batched direct get, which needs no consumer; a long rest by one pull
consumer into one inbox, which is about three times as fast. Both are answered by any replica, and
one that lags ends early without a word. So where the end is, the leader says, and what a replica
did not give is asked of the leader, one by one.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

from moonlet.core.errors import Unavailable
from moonlet.core.marks import reached
from moonlet.streams.api import ServerRefused, StoredMessage, StreamGone
from moonlet.streams.bus import Bus
from moonlet.streams.codes import is_missing
from moonlet.streams.reading.blobs import stands_apart, with_record
from moonlet.streams.reading.facts import LOOKS_MAX, count_up_to
from moonlet.streams.reading.history_reader import HistoryReader
from moonlet.telemetry import get_logger

log = get_logger(__name__)

FIRST_BATCH: Final = 256
"""Messages read by direct get before a consumer is worth its making."""

LEADER_BATCH: Final = 64
"""Messages asked of the leader one by one, about a millisecond each, before a replica is tried
again: it may have caught up."""

STALL: Final = 2.0
"""Seconds without a message after which a consumer is taken for one of a replica that lags."""

STALLS_MAX: Final = 10
"""Tries in a row that gave nothing, after which the server is said to be away."""


async def find_end(bus: Bus, stream: str, subject: str) -> int:
    """The sequence of the last message of `subject` (wildcards allowed), 0 if it has none.

    As the leader has it. Raises `StreamGone`.
    """
    try:
        last = await bus._js.last_message(stream, subject)
    except ServerRefused as error:
        if is_missing(error):
            raise StreamGone(f"there is no stream {stream}", stream=stream) from None
        raise
    return 0 if last is None else last.sequence


async def read_messages(
    bus: Bus,
    stream: str,
    subject: str,
    *,
    start: int = 1,
    end: int | None = None,
    at_least: int = 0,
    follow: bool = False,
    wide: bool = False,
) -> AsyncGenerator[list[StoredMessage], None]:
    """Batches of the messages of `subject` from sequence `start` on, in order.

    Up to `end`, if the caller has it from the leader, else to the end as of the beginning; with
    `follow` for ever. What is given is whole up to its last message, whatever replica it came from;
    a few beyond the end may come too. Survives reconnects.
    With `at_least`, for a literal subject from its start, nothing is missing up to that sequence of
    the stream: a server that was replaced as the leader, and doesn't know it yet, is not believed.
    Raises `StreamGone`, and `Unavailable` if the server stays away, or knows less than `at_least`.
    With `wide`, for few messages among very many, no direct get is made: the server does that in
    the connection's own turn, at about a microsecond a message passed over, and all else waits.
    """
    if follow:
        end = None
    elif end is None:
        end = await find_end(bus, stream, subject)
    assert not at_least or start == 1
    reading = _Reading(bus, stream, subject, start, end, 0 if follow else at_least)
    if not wide and not reading.done:
        if batch := await reading.page():
            yield batch
    stalls = 0
    while not reading.done or await reading.lacks():
        before = reading.start
        try:
            async with aclosing(reading.go_on(wide=wide)) as batches:
                async for batch in batches:
                    yield batch
        except StreamGone:
            raise
        except Unavailable as error:
            log.info("a history waits for the server", stream=stream, error=str(error))
        if reading.start > before:
            stalls = 0
            continue
        stalls += 1
        if stalls > STALLS_MAX:
            raise Unavailable(
                f"stream {stream} stopped answering behind sequence {before - 1}: see the server's"
                " log, then read again"
            )
        await bus.backoff(stalls)


class _Reading:
    """How far one subject is read: up to before `start`; `end` is None if it is followed.

    What is given is whole: records that stand apart are brought in.
    """

    def __init__(
        self, bus: Bus, stream: str, subject: str, start: int, end: int | None, at_least: int
    ) -> None:
        self._bus = bus
        self._stream = stream
        self._subject = subject
        self._end = end
        self._at_least = at_least
        self._count = self._absent = 0
        self.start = start
        self._lags = False  # whoever was asked last ended too early: ask the leader next

    @property
    def done(self) -> bool:
        """Whether all is read."""
        return self._end is not None and self.start > self._end

    async def lacks(self) -> bool:
        """Whether there is more up to the sequence that was asked for than was read to the end."""
        if self.start > self._at_least:
            return False
        seen = self._at_least
        count, last = await count_up_to(self._bus, self._stream, self._subject, seen)
        if last < seen:
            raise Unavailable(
                f"stream {self._stream} ends at {last}, but {seen} was seen of it: the server that"
                " answers is not up to date, which passes, or it was restored from an older state,"
                " which `moonlet doctor` shows"
            )
        if self._count >= count:
            self._at_least = 0
            return False
        self._end = await find_end(self._bus, self._stream, self._subject)
        return True

    async def go_on(self, *, wide: bool) -> AsyncGenerator[list[StoredMessage], None]:
        """Batches, until whoever is asked has no more to say."""
        if not self._lags:
            async with aclosing(self._by_consumer()) as batches:
                async for batch in batches:
                    yield batch
            return
        if batch := await self._of_leader():
            yield batch
        if not wide and not self.done and (batch := await self.page()):
            yield batch

    async def page(self) -> list[StoredMessage]:
        """The next by direct get."""
        batch, more = await self._bus._js.read_batch(
            self._stream, self._subject, start=self.start, batch=FIRST_BATCH
        )
        batch = await self._take(batch)
        self._lags = self._end is not None and not more and not self.done
        return batch

    async def _of_leader(self) -> list[StoredMessage]:
        """The next few from the leader, one by one."""
        reached("a replica that lags ended a history early")
        js, start = self._bus._js, self.start
        batch: list[StoredMessage] = []
        self._lags = False
        while len(batch) < LEADER_BATCH and (self._end is None or start <= self._end):
            message = await js.next_message(self._stream, self._subject, start=start)
            if message is None:
                self._miss(start)
                break
            self._absent = 0
            batch.append(message)
            start = message.sequence + 1
        return await self._take(batch)

    def _miss(self, start: int) -> None:
        """Whoever answers has no more, though the end is further on.

        It was replaced as the leader, and learns it soon; or what stood there was removed.
        """
        self._absent += 1
        if self._absent >= LOOKS_MAX:
            self._end = start - 1

    async def _by_consumer(self) -> AsyncGenerator[list[StoredMessage], None]:
        """What one consumer gives, until it breaks, or stalls before the end."""
        reader = HistoryReader(
            self._bus, self._stream, [self._subject], start=self.start, name="replay"
        )
        patience = None if self._end is None else STALL
        before = self.start
        left = True  # by whoever reads: its timeout may be over, or it has what it wanted
        try:
            await reader.open()
            while not self.done and not reader.broken:
                if not await reader.wait(patience):
                    break
                if batch := reader.take():
                    yield await self._take(batch)
            left = False
        finally:
            await reader.close(wait=not left)
        stalled = not reader.broken or self.start == before
        self._lags = self._end is not None and stalled and not self.done

    async def _take(self, batch: list[StoredMessage]) -> list[StoredMessage]:
        if any(map(stands_apart, batch)):
            batch = [await with_record(self._bus, self._stream, message) for message in batch]
        if batch:
            self.start = batch[-1].sequence + 1
            self._count += len(batch)
        return batch
