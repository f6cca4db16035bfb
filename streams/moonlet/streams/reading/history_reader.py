"""One consumer's life: a stream's messages in order, in batches, until anything is odd."""

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Final

from moonlet.core.errors import Unavailable
from moonlet.streams.api import Delivery, ServerRefused, Sieve, StoredMessage
from moonlet.streams.bus import Bus
from moonlet.streams.reading.consumer import Consumer
from moonlet.streams.reading.terms import history

PULL_BATCH: Final = 2_000
"""Messages asked for at a time; at most twice as many are in memory or under way."""

SIEVE_BATCH: Final = 10_000
"""The same where a sieve keeps only a few of them: with less the server waits for the reader."""


class HistoryReader:
    """`open` it, then `wait` and `take`; whoever reads on makes another when it is `broken`.

    A gap, a silence, a reconnect, a consumer that is gone: what was taken is whole and in order up
    to its last message, and the next reader starts behind that. `name` says who reads. With a
    `sieve` only what it wants is given; `position` is the sequence up to which all was looked at.
    """

    def __init__(
        self,
        bus: Bus,
        stream: str,
        filters: Sequence[str],
        *,
        start: int,
        name: str,
        sieve: Sieve | None = None,
    ) -> None:
        self.broken = False
        self._start = start
        self.position = start - 1
        self._sieve = sieve
        self._count = self._released = 0
        self._arrived: list[StoredMessage] = []
        self._wake = asyncio.Event()
        batch = PULL_BATCH if sieve is None else SIEVE_BATCH
        self._consumer = Consumer(
            bus,
            history(bus, stream, name, filters, start=start),
            credit=2 * batch,
            at_most=batch,
            at_least=batch // 2,
            on_deliveries=self._on_deliveries,
            on_lost=self._on_lost,
            sieve=sieve,
        )

    async def open(self) -> None:
        """Begin. Raises `StreamGone`, `LimitExceeded`, `Unavailable`, `ServerRefused`."""
        await self._consumer.open()

    async def close(self, *, wait: bool = True) -> None:
        """Read no more; `wait` until the server has taken its consumer away."""
        try:
            if wait:
                await self._consumer.close(delete=True)
            else:
                await self._consumer.leave()
        except (Unavailable, ServerRefused):
            pass  # it ends by itself when nobody has pulled for long

    async def __aenter__(self) -> "HistoryReader":
        try:
            await self.open()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    @property
    def pending(self) -> int:
        """How many messages there were to be read when it began."""
        return self._consumer.pending

    @property
    def has_more(self) -> bool:
        """Whether `take` would give anything."""
        return bool(self._arrived)

    async def wait(self, timeout: float | None = None) -> bool:
        """Until something arrived, it is broken, or `wake`; False after `timeout` s."""
        self._wake.clear()
        if self._count > self._released or self.broken:
            return True
        try:
            async with asyncio.timeout(timeout):
                await self._wake.wait()
        except TimeoutError:
            return False
        return True

    def take(self) -> list[StoredMessage]:
        """What has arrived, in order; empty if nothing has."""
        batch, self._arrived = self._arrived, []
        count, self._released = self._count - self._released, self._count
        if count:
            self._consumer.release(count)
        return batch

    def wake(self) -> None:
        """Let `wait` return now."""
        self._wake.set()

    def give_up(self) -> None:
        """Break it: what arrived and was not taken is not to be used."""
        self._consumer.renew()

    def _on_deliveries(self, consumer: Consumer, deliveries: list[Delivery]) -> None:
        count = len(deliveries)
        if deliveries and deliveries[0].sequence < self._start:
            # A consumer made on a replica that ends before its start begins at that end.
            deliveries = [each for each in deliveries if each.sequence >= self._start]
        self._arrived += [
            StoredMessage(
                delivery.subject,
                delivery.sequence,
                delivery.time,
                delivery.headers,
                delivery.data,
            )
            for delivery in deliveries
        ]
        if self._sieve is not None:
            self._count, position = self._sieve.count, self._sieve.sequence
        else:
            self._count += count
            position = deliveries[-1].sequence if deliveries else 0
        self.position = max(self.position, position)
        self._wake.set()

    def _on_lost(self, why: str) -> None:
        self.broken = True
        self._wake.set()
