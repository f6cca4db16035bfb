"""One consumer's deliveries, pulled as fast as they are taken and never more than a credit.

Only one pull request is outstanding, so what arrived and what the server says it sent can be
compared: at a gap in consumer sequences, at a reconnect, and when the server has sent more than
arrived, the consumer is made anew and the server delivers the unacknowledged rest again, in order.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

from moonlet.core.errors import MoonletError, Unavailable
from moonlet.core.marks import buggify, reached
from moonlet.streams.api import Delivery, Pull, PullStatus, ServerRefused
from moonlet.streams.bus import Bus
from moonlet.streams.codes import CONSUMER_OVERLAPS
from moonlet.telemetry import get_logger

log = get_logger(__name__)

PULL_EXPIRES: Final = 1.0
"""Seconds that a pull waits at the server; short, since a leader change swallows it silently."""

SILENCE: Final = 3.0
"""Seconds behind a pull's expiry after which its answer is taken for lost."""

ACK_WAIT: Final = 3_600 * 10**9
"""Nanoseconds until the server redelivers by itself; long, since a takeover doesn't need it."""


class Intake:
    """A consumer of one lane of one partition. `on_delivery` is called in order and must not raise.

    Each delivery uses up one credit until `release`. `on_lost` is called once if the consumer was
    deleted or overlapped by another's: the partition has a new owner.
    """

    def __init__(
        self,
        bus: Bus,
        stream: str,
        name: str,
        filter: str,
        *,
        credit: int,
        on_delivery: "Callable[[Intake, Delivery], None]",
        on_lost: Callable[[], None],
    ) -> None:
        self._bus = bus
        self.stream = stream
        self.name = name
        self._config: dict[str, Any] = {
            "name": name,
            "durable_name": name,
            "filter_subject": filter,
            "ack_policy": "explicit",
            "ack_wait": ACK_WAIT,
            "max_ack_pending": -1,
            "max_deliver": -1,
            "deliver_policy": "all",
        }
        self._credit = credit
        self._on_delivery = on_delivery
        self._on_lost = on_lost
        self._pull: Pull | None = None
        self._held = 0
        self._asked = 0
        self._arrived = 0
        self._next = 1
        self._closed = False
        self._renewing = False
        self._watch: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._remove_hook = bus.on_reconnect(self._renew)

    async def open(self) -> None:
        """Create the consumer and pull. Raises `ServerRefused` (overlap), `Unavailable`."""
        await self._create()
        self._ask()

    def pause(self) -> None:
        """Ask for nothing more; what arrives from now on is ignored, and comes again later."""
        self._stop()

    async def close(self, *, delete: bool) -> None:
        """Stop pulling; with `delete` the unacknowledged rest is free for the next owner."""
        self._stop()
        for task in list(self._tasks):
            task.cancel()
        if self._pull is not None:
            await self._pull.close()
        if delete:
            await self._bus._js.delete_consumer(self.stream, self.name)

    def release(self) -> None:
        """One delivery was acknowledged, or is no longer kept in memory."""
        self._held -= 1
        if self._asked == 0:
            self._ask()

    def acknowledge(self, reply: str, *, credited: bool) -> None:
        """Acknowledge, and release if a credit is held; a lost one leads to a redelivery."""
        try:
            self._bus._js.acknowledge(reply)
        except Unavailable:
            pass  # it comes again and is recognised
        if credited:
            self.release()

    def _stop(self) -> None:
        self._closed = True
        self._remove_hook()
        if self._watch is not None:
            self._watch.cancel()

    async def _create(self) -> None:
        js = self._bus._js
        await js.create_consumer(self.stream, self._config)
        self._next = 1
        self._asked = self._arrived = 0
        self._pull = await js.open_pull(self.stream, self.name, self._arrive, self._status)

    def _ask(self) -> None:
        """One request for all free credit, once at least a quarter of it is free."""
        free = self._credit - self._held
        if self._closed or self._renewing or self._pull is None or free < max(1, self._credit // 4):
            return
        self._asked, self._arrived = free, 0
        try:
            self._pull.request(free, expires=PULL_EXPIRES)
        except Unavailable:
            self._asked = 0  # the reconnect renews
            return
        if self._watch is not None:
            self._watch.cancel()
        loop = asyncio.get_running_loop()
        self._watch = loop.call_later(PULL_EXPIRES + SILENCE, self._silent)

    def _arrive(self, delivery: Delivery) -> None:
        if self._closed or self._renewing:
            return
        if delivery.consumer_sequence != self._next:
            reached("a gap in deliveries")
            log.warning("gap in deliveries", consumer=self.name, expected=self._next)
            self._renew()
            return
        self._next += 1
        self._arrived += 1
        self._held += 1
        if self._arrived >= self._asked:
            self._asked = 0
            self._ask()
        self._on_delivery(self, delivery)

    def _status(self, status: PullStatus) -> None:
        if self._closed or self._renewing:
            return
        if status.code == 408:
            if self._arrived + status.missing < self._asked:
                reached("the server has sent more than arrived")
                log.warning("deliveries were lost", consumer=self.name)
                self._renew()
                return
            if buggify("a consumer is made anew for nothing"):
                self._renew()
                return
            self._asked = 0
            self._ask()
        elif status.code == 409 and "deleted" in status.description.lower():
            self._lost("the consumer was deleted")
        else:
            self._renew()

    def _silent(self) -> None:
        if self._asked and not self._closed:
            reached("a pull is never answered")
            log.warning("a pull was never answered", consumer=self.name)
            self._renew()

    def _renew(self) -> None:
        """Make the consumer anew, so that what is not acknowledged comes again in order."""
        if self._closed or self._renewing:
            return
        self._renewing = True
        task = asyncio.get_running_loop().create_task(self._recreate(), name=f"renew {self.name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _recreate(self) -> None:
        js = self._bus._js
        attempt = 0
        while not self._closed:
            attempt += 1
            try:
                if self._pull is not None:
                    await self._pull.close()
                    self._pull = None
                if not await js.delete_consumer(self.stream, self.name) and attempt == 1:
                    self._lost("the consumer is gone")
                    return
                await self._create()
                break
            except ServerRefused as error:
                if error.err_code == CONSUMER_OVERLAPS:
                    self._lost("another consumer took its place")
                    return
                log.warning("a consumer could not be made", consumer=self.name, error=str(error))
            except MoonletError as error:
                log.info("waiting for the server", consumer=self.name, error=str(error))
            await self._bus.backoff(attempt)
        # What was delivered before is delivered again: its owner recognises it, and each of the
        # two uses a credit until it is released.
        self._renewing = False
        self._ask()

    def _lost(self, why: str) -> None:
        if not self._closed:
            reached("a newer owner is noticed by its consumers")
            log.info("partition lost", consumer=self.name, why=why)
            self._stop()
            self._on_lost()
