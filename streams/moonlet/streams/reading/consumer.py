"""One consumer's deliveries, pulled as fast as they are taken and never more than a credit.

Only one request is under way, so what arrived and what the server says it sent can be
compared: at a gap in consumer sequences, at a reconnect, after a silence, and when the server has
sent more than arrived, the consumer is made anew and the server delivers the unacknowledged rest
again, in order.

An acknowledged message leaves a work queue only when the server's disk has it, which with fsync is
later than the next one comes. So every so many acknowledgements are a request, which the server
answers when it is done with them, and what it has not confirmed stands in the way of new ones.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from moonlet.core.errors import Conflict, MoonletError, Unavailable
from moonlet.core.marks import buggify, reached
from moonlet.streams.api import Delivery, Pull, PullStatus, ServerRefused, Sieve
from moonlet.streams.bus import Bus
from moonlet.streams.codes import in_our_words, is_overlapping
from moonlet.streams.reading.foreign_consumers import remove_foreign
from moonlet.streams.reading.terms import ConsumerTerms
from moonlet.telemetry import get_logger

log = get_logger(__name__)

PULL_EXPIRES: Final = 1.0
"""Seconds that a pull waits at the server; short, since a leader change swallows it silently."""

SILENCE: Final = 3.0
"""Seconds without any answer after which it is taken for lost: to a pull, behind its expiry (it is
made anew); to acknowledgements (they are asked after once more: a slow disk is no loss)."""

LATE: Final = 0.5
"""Seconds that a look at a pull comes late at most, if the loop isn't blocked."""

UNCONFIRMED_MAX: Final = 1_024
"""Acknowledged messages, beside the credit, that may still stand in the queue: they are answered
from memory while the disk is busy removing them."""

CONFIRMED_AT_ONCE: Final = 8
"""Parts of the window: an answer is asked for whenever one more of them is acknowledged."""


def window_of(credit: int, limit: int | None) -> int:
    """Deliveries that may not be known to be gone, of a queue that takes `limit` messages.

    A quarter of it at most, so whoever waits for answers may have three quarters under way.
    """
    window = credit + UNCONFIRMED_MAX
    return window if limit is None else max(1, min(window, limit // 4))


class Consumer:
    """Deliveries of one consumer. `on_deliveries` is called in order and must not raise.

    Each delivery uses up one credit until `release`. Those and the acknowledged ones together of
    which the server has not confirmed that they are gone are at most `window_of(credit, limit)`,
    `limit` being how many messages the queue takes (of one subject, if that is what bounds it). A
    request is made once `at_least` credits are free (default: a quarter), for `at_most`, while none
    is under way: of several the server serves each in turn, and what it sent for one is unknown.
    `on_lost` is called once, with the reason, when nothing more will come: an owner's consumer was
    deleted or overlapped by that of a newer one, or a history's must be made anew. Through a
    `sieve` only what it wants is handed on; all uses up credit, and it counts what is to be
    released.
    """

    def __init__(
        self,
        bus: Bus,
        terms: ConsumerTerms,
        *,
        credit: int,
        on_deliveries: "Callable[[Consumer, list[Delivery]], None]",
        on_lost: Callable[[str], None] = lambda why: None,
        limit: int | None = None,
        at_least: int | None = None,
        at_most: int | None = None,
        sieve: Sieve | None = None,
    ) -> None:
        self._bus = bus
        self.terms = terms
        self.stream = terms.stream
        self.name = terms.name
        self._owned = terms.owned
        self._credit = credit
        self._limit = limit
        self._at_least, self._at_most = at_least, at_most or credit
        self._sieve = sieve
        self._on_deliveries = on_deliveries
        self._on_lost = on_lost
        self.pending = 0
        """How many messages the server had for it when it was made."""
        self._pull: Pull | None = None
        self._held = 0
        self._requested = self._arrived = 0
        self._end = 0  # how many have arrived when the request under way is fulfilled; 0: none is
        self._next = 1
        self._last = 0
        self._window = self._every = self._enough = 0
        self._acknowledged = self._confirmed = self._confirm_at = 0
        self._questions = 0
        self._unanswered: deque[tuple[int, int, str]] = deque()
        self._closed = False
        self._renewing = False
        self._fruitless = 0
        """How often in a row it was made anew and then nothing came, not even that there is none:
        of three servers the one that is asked may not know a new consumer for a while."""
        self._watch: asyncio.TimerHandle | None = None
        self._confirm_watch: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._remove_hook = bus.on_reconnect(self.renew)

    async def open(self) -> None:
        """Create the consumer and pull.

        Raises `Conflict` if a newer owner has one, `LimitExceeded` if the server takes no more,
        `Unavailable`, `ServerRefused`. After any of them, `close`.
        """
        try:
            try:
                await self._create()
            except ServerRefused as error:
                if not self.terms.revision:
                    raise
                await self._remove_lower(error)
                await self._create()
        except ServerRefused as error:
            raise in_our_words(error, f"consumer {self.name}", self.stream) from error
        self._ask()

    async def _remove_lower(self, error: ServerRefused) -> None:
        """Delete what owners before us left behind; a higher revision is a newer owner's."""
        js, terms = self._bus._js, self.terms
        for name in await js.consumer_names(self.stream):
            head, _, revision = name.rpartition("-r")
            if head not in terms.rivals or not revision.isdigit():
                continue
            if int(revision) > terms.revision:
                raise Conflict(f"{self.name} gives way to {name}: a newer owner's") from error
            if int(revision) < terms.revision or head != terms.family:
                await js.delete_consumer(self.stream, name)
        if is_overlapping(error):
            await remove_foreign(self._bus, self.stream, terms.filters)

    def pause(self) -> None:
        """Ask for nothing more; what arrives from now on is ignored, and comes again later."""
        self._closed = True
        self._remove_hook()
        for watch in (self._watch, self._confirm_watch):
            if watch is not None:
                watch.cancel()

    async def close(self, *, delete: bool) -> None:
        """Stop pulling; with `delete` the unacknowledged rest is free for the next owner."""
        await self._stop()
        if delete:
            await self._bus._js.delete_consumer(self.stream, self.name)

    async def leave(self) -> None:
        """As `close` with `delete`, but what comes of that is not waited for. May be lost."""
        await self._stop()
        self._bus.post(f"$JS.API.CONSUMER.DELETE.{self.stream}.{self.name}")

    async def _stop(self) -> None:
        self.pause()
        for task in list(self._tasks):
            task.cancel()
        if self._pull is not None:
            await self._pull.close()

    # credit

    def release(self, count: int = 1) -> None:
        """So many deliveries were acknowledged, or are no longer kept in memory."""
        self._held -= count
        if not self._end:
            self._ask()

    def acknowledge(self, delivery: Delivery, *, credited: bool = True) -> None:
        """Acknowledge, and release if a credit is held; a lost one leads to a redelivery."""
        # What came before the consumer was made anew, and did not come again yet, the server
        # passes over without an answer.
        if delivery.sequence <= self._last:
            self._acknowledged += 1
            if self._acknowledged >= self._confirm_at and not self._closed and self._pull:
                self._confirm(delivery.reply)
            else:
                self._bus._js.acknowledge(delivery.reply)
        else:
            self._bus._js.acknowledge(delivery.reply)
        if credited:
            self._held -= 1
            if not self._end:
                self._ask()

    def in_work(self, delivery: Delivery) -> None:
        """Say that a delivery is being worked on: its time until a redelivery starts again."""
        try:
            self._bus.post(delivery.reply, b"+WPI")
        except Unavailable:
            pass  # said again soon, or it runs twice

    def _confirm(self, reply: str) -> None:
        """Acknowledge, and ask for an answer when this one and all before it are dealt with."""
        self._confirm_at = self._acknowledged + self._every
        self._ask_after(reply)
        if self._confirm_watch is None:
            self._watch_confirmations()

    def _ask_after(self, reply: str) -> None:
        assert self._pull is not None
        self._questions += 1
        self._unanswered.append((self._questions, self._acknowledged, reply))
        self._bus._js.acknowledge(reply, answer_to=self._pull.answer_to(self._questions))

    def _watch_confirmations(self) -> None:
        loop = asyncio.get_running_loop()
        self._confirm_watch = loop.call_later(SILENCE, self._unconfirmed, self._confirmed)

    def _unconfirmed(self, before: int) -> None:
        """Ask again if nothing was confirmed lately: the answer tells a slow disk from a loss."""
        self._confirm_watch = None
        if not self._unanswered or self._renewing:
            return
        if self._confirmed == before:
            reached("acknowledgements have no answer")
            self._ask_after(self._unanswered[-1][2])
        self._watch_confirmations()

    def _on_confirmed(self, question: int) -> None:
        """The server is done with all that was acknowledged before it was asked this."""
        if self._closed or self._renewing:
            return
        if not self._unanswered or question < self._unanswered[0][0]:
            return
        first, count, _ = self._unanswered.popleft()
        if first != question:  # answers come in order, so the one before never arrived there
            reached("acknowledgements were lost")
            log.warning("acknowledgements were lost", consumer=self.name)
            self.renew()
            return
        self._confirmed = count
        if not self._end:
            self._ask()

    # pulling

    async def _create(self) -> None:
        js = self._bus._js
        info = await js.create_consumer(self.stream, self.terms.config)
        self.pending = int(info.get("num_pending", 0))
        self._next = 1
        self._requested = self._arrived = 0
        self._end = 0
        if self._owned:
            self._last = 0
        self._acknowledged = self._confirmed = 0
        self._unanswered.clear()
        self._set_window(window_of(self._credit, self._limit))
        arrive = self._arrive
        if self._sieve is not None:
            self._sieve.begin()
            arrive = self._arrive_sifted
        self._pull = await js.open_pull(
            self.stream, self.name, arrive, self._status, self._on_confirmed, self._sieve
        )

    def _set_window(self, window: int) -> None:
        if self.terms.acknowledged and buggify("acknowledgements are confirmed one by one"):
            window = 2
        most = min(self._credit, window)
        self._window = window
        self._every = self._confirm_at = max(1, window // CONFIRMED_AT_ONCE)
        self._enough = min(most, self._at_least or max(1, most // 4))

    def _ask(self) -> None:
        """A request for all that is free, once that is enough."""
        used = self._held + self._requested - self._arrived
        free = self._credit - used
        room = self._window - used - (self._acknowledged - self._confirmed)
        if room < free:
            free = room
        if self._closed or self._renewing or self._pull is None or free < self._enough:
            return
        batch = min(free, self._at_most)
        try:
            self._pull.request(batch, expires=PULL_EXPIRES)
        except Unavailable:
            return  # the reconnect renews
        self._requested += batch
        self._end = self._requested
        if self._watch is not None:
            self._watch.cancel()
        self._watch_silence(PULL_EXPIRES + SILENCE)

    def _watch_silence(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + seconds
        self._watch = loop.call_at(due, self._silent, due)

    def _arrive(self, deliveries: list[Delivery]) -> None:
        if self._closed or self._renewing:
            return
        gap = False
        if self._owned:
            # The server counts up, so as many as lie from the first to the last are all of them.
            expected = self._next
            self._next = expected + len(deliveries)
            first, last = deliveries[0].consumer_sequence, deliveries[-1].consumer_sequence
            if first != expected or last != self._next - 1:
                gap = True
                deliveries = _until_the_gap(deliveries, expected)
                self._next = expected + len(deliveries)
        if deliveries:
            count = len(deliveries)
            self._arrived += count
            self._held += count
            self._fruitless = 0
            if deliveries[-1].sequence > self._last:
                self._last = deliveries[-1].sequence
            if self._end and self._arrived >= self._end and not gap:
                self._end = 0
                self._ask()
            self._on_deliveries(self, deliveries)
        if gap:
            self._miss()

    def _arrive_sifted(self, deliveries: list[Delivery]) -> None:
        """What a sieve let through of one piece: none of it counts if anything was missing."""
        if self._closed or self._renewing:
            return
        sieve = self._sieve
        assert sieve is not None
        count = sieve.count - (self._next - 1)
        if sieve.consumer_sequence != sieve.count:
            self._miss()
            return
        self._next += count
        self._arrived += count
        self._held += count
        self._last = sieve.sequence
        if self._end and self._arrived >= self._end:
            self._end = 0
            self._ask()
        self._on_deliveries(self, deliveries)

    def _miss(self) -> None:
        reached("a gap in deliveries")
        log.warning("gap in deliveries", consumer=self.name, expected=self._next)
        self.renew()

    def _status(self, status: PullStatus) -> None:
        if self._closed or self._renewing:
            return
        if status.code in (404, 408):
            self._fruitless = 0
            if not self._end:
                return
            end, self._end = self._end, 0
            if self._arrived + status.missing < end:
                reached("the server has sent more than arrived")
                log.warning("deliveries were lost", consumer=self.name)
                self.renew()
                return
            if self.terms.revision and buggify("a consumer is made anew for nothing"):
                self.renew()
                return
            unsent = end - self._arrived
            self._requested -= unsent
            self._ask()
        elif status.code == 409 and "deleted" in status.description.lower() and self._owned:
            self._lost("the consumer was deleted")
        else:
            self.renew()

    def _silent(self, due: float) -> None:
        if self._end and not self._closed:
            if asyncio.get_running_loop().time() - due > LATE:
                # Not the server was silent: our loop stood still, and what came is not read yet.
                reached("a pull is looked after late")
                self._watch_silence(SILENCE)
                return
            reached("a pull is never answered")
            log.warning("a pull was never answered", consumer=self.name)
            self.renew()

    # anew

    def renew(self) -> None:
        """Make the consumer anew, so that what is not acknowledged comes again in order."""
        if self._closed or self._renewing:
            return
        if not self.terms.renewed:
            self._lost("what was read must be read again")
            return
        self._renewing = True
        task = asyncio.get_running_loop().create_task(self._recreate(), name=f"renew {self.name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _recreate(self) -> None:
        js = self._bus._js
        attempt = 0
        self._fruitless += 1
        if self._fruitless > 1:
            await self._bus.backoff(self._fruitless - 1)
        while not self._closed:
            attempt += 1
            try:
                if self._pull is not None:
                    await self._pull.close()
                    self._pull = None
                if self._owned:
                    if not await js.delete_consumer(self.stream, self.name) and attempt == 1:
                        self._lost("the consumer is gone")
                        return
                await self._create()
                break
            except ServerRefused as error:
                if self._owned and is_overlapping(error):
                    self._lost("another consumer took its place")
                    return
                told = in_our_words(error, f"consumer {self.name}", self.stream)
                log.warning("a consumer could not be made", consumer=self.name, error=str(told))
            except MoonletError as error:
                log.info("waiting for the server", consumer=self.name, error=str(error))
            await self._bus.backoff(attempt)
        # What was delivered before is delivered again: its owner recognises it, and each of the
        # two uses a credit until it is released.
        self._renewing = False
        self._ask()

    def _lost(self, why: str) -> None:
        if not self._closed:
            if self.terms.revision:
                reached("a newer owner is noticed by its consumers")
                log.info("partition lost", consumer=self.name, why=why)
            self.pause()
            self._on_lost(why)


def _until_the_gap(deliveries: list[Delivery], expected: int) -> list[Delivery]:
    """Those before the first that is not the next."""
    for place, delivery in enumerate(deliveries):
        if delivery.consumer_sequence != expected + place:
            return deliveries[:place]
    return deliveries
