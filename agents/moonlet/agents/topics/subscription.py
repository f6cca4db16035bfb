"""A subscription: messages of topics one after the other, each until it is acknowledged."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from types import TracebackType
from typing import Final, Literal

from moonlet.agents.topics.topic_message import TopicMessage
from moonlet.core.errors import (
    Invalid,
    InvalidId,
    InvalidSettings,
    LimitExceeded,
    MoonletError,
    Unavailable,
)
from moonlet.core.ids import check_name, check_topics
from moonlet.core.marks import reached
from moonlet.streams import Bus, Consumer, Delivery, TopicPosition, topic_position
from moonlet.telemetry import get_logger

log = get_logger(__name__)

From = Literal["new", "all"] | int | datetime
"""Where a new subscription begins: with what is published from now on, with all that is stored, at
a sequence, or with the first message of a time on (aware)."""

PREFETCH_MAX: Final = 1_024
"""Messages that one subscription may hold in memory, unacknowledged ones counted."""

AGAIN_MAX: Final = 3_600.0
"""Seconds that a message may be in work before it comes again, at most; at least one."""

HOLD: Final = 300.0
"""Seconds without anybody asking, after which messages that wait here are left to others."""

NAME_MAX: Final = 250
"""Characters that the server takes for the name of a position."""


def subscription_name(durable: str | None, group: str | None) -> str | None:
    """What a position is called; None for one that nobody else can find. Raises `InvalidId`."""
    if durable is not None:
        check_name(durable, "durable")
    if group is not None:
        check_name(group, "group")
    if durable is None and group is None:
        return None
    name = f"topics={durable or ''}={group or ''}"
    if len(name) > NAME_MAX:
        raise InvalidId(f"durable and group together have at most {NAME_MAX - 8} characters")
    return name


class TopicSubscription:
    """Messages by `async for`, and open while `async with` is, or from the first one on.

    `missed` counts sequences that the stream's limits removed since this position was last read.
    """

    def __init__(
        self,
        bus: Bus,
        topics: str,
        *,
        durable: str | None,
        group: str | None,
        from_: From,
        prefetch: int,
        again_after: float,
        ended: "Callable[[TopicSubscription], None]",
    ) -> None:
        self.topics = check_topics(topics)
        name = subscription_name(durable, group)
        self.name = name or f"listens={bus.entropy.token()}"
        _check_bounds(from_, prefetch, again_after)
        self._bus = bus
        self._from = from_
        self._named, self._lasting = name is not None, durable is not None
        self._prefetch = prefetch
        self._again_after = again_after
        self._ended = ended
        self._consumer: Consumer | None = None
        self._opening = asyncio.Lock()
        self._waiting: dict[int, Delivery] = {}
        self._out: dict[int, Delivery] = {}
        self._changed = asyncio.Event()
        self._asked = 0.0
        self._keeper: asyncio.TimerHandle | None = None
        self._lost: MoonletError | None = None
        self._closed = False
        self.missed = 0

    async def __aenter__(self) -> "TopicSubscription":
        """It stands from here on: what is published afterwards comes. Raises as `Client`'s call."""
        async with self._opening:
            if self._closed:
                raise Invalid(f"the subscription to {self.topics} is closed: make another")
            if self._consumer is None:
                await self._open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    def __aiter__(self) -> "TopicSubscription":
        return self

    async def __anext__(self) -> TopicMessage:
        """The next message, as long as it takes; one at a time may wait for it.

        Raises `LimitExceeded` if so many are out that no more may come, and none is acknowledged
        within the time after which they come again. Cancelled, nothing is lost.
        """
        if self._consumer is None or self._closed:
            if self._closed:
                raise StopAsyncIteration
            await self.__aenter__()
        time = asyncio.get_running_loop().time
        self._asked = time()
        await asyncio.sleep(0)  # who handles without waiting keeps no acknowledgement back
        full = None
        while not self._waiting:
            if self._lost is not None:
                raise self._lost
            if self._closed:
                raise StopAsyncIteration
            self._changed.clear()
            if len(self._out) < self._prefetch:
                full = None
                await self._changed.wait()
                continue
            full = full or time() + self._again_after
            try:
                async with asyncio.timeout_at(full):
                    await self._changed.wait()
            except TimeoutError:
                raise self._unacknowledged() from None
        sequence = next(iter(self._waiting))
        delivery = self._waiting.pop(sequence)
        self._out[sequence] = delivery
        topic = delivery.subject.removeprefix(self._bus.subjects.topic(""))
        return TopicMessage(delivery, topic, self._settle)

    async def close(self) -> None:
        """Stop; what is not acknowledged goes to the next reader at once. Twice is harmless."""
        if self._closed:
            return
        self._closed = True
        self._changed.set()
        self._ended(self)
        if self._keeper is not None:
            self._keeper.cancel()
        consumer, self._consumer = self._consumer, None
        if consumer is None:
            return
        if self._named:
            for delivery in (*self._out.values(), *self._waiting.values()):
                self._post(delivery, b"-NAK")
        self._waiting.clear()
        self._out.clear()
        try:
            await consumer.close(delete=not self._named)
        except MoonletError as error:  # the server forgets it by itself
            log.info("a subscription is left behind", name=self.name, error=str(error))

    async def _open(self) -> None:
        position = await self._position()
        self.missed = position.missed
        if position.missed:
            reached("a subscription was away for longer than messages are kept")
            log.warning(
                "a subscription may have missed messages", name=self.name, sequences=self.missed
            )
        consumer = Consumer(
            self._bus,
            position.terms,
            credit=self._prefetch,
            on_deliveries=self._take,
            on_lost=self._lose,
            at_least=1,
        )
        try:
            await consumer.open()
        except BaseException:
            await consumer.close(delete=False)
            raise
        self._consumer = consumer
        self._asked = asyncio.get_running_loop().time()
        self._keep()

    async def _position(self) -> TopicPosition:
        from_ = self._from
        if isinstance(from_, str):
            start = None if from_ == "new" else 1
        else:
            start = from_  # type: ignore[assignment]
        return await topic_position(
            self._bus,
            self.topics,
            self.name,
            start=start,
            lasting=self._lasting,
            again_after=self._again_after,
        )

    def _take(self, consumer: Consumer, deliveries: list[Delivery]) -> None:
        """A message that came again takes the place of its former delivery, in order of arrival."""
        for delivery in deliveries:
            for held in (self._waiting, self._out):
                if held.pop(delivery.sequence, None) is not None:
                    reached("a message of a topic comes again while it is here")
                    consumer.release()
            self._waiting[delivery.sequence] = delivery
        self._changed.set()

    def _settle(self, delivery: Delivery, after: float | None) -> None:
        """Acknowledge (None) or ask for it again; nothing if that was done before."""
        consumer, sequence = self._consumer, delivery.sequence
        if consumer is None:
            return
        held = self._out.pop(sequence, None) or self._waiting.pop(sequence, None)
        if held is None:
            if after is None:
                self._post(delivery, b"+ACK")  # its time is over: settled, if nobody has it again
            return
        if after is None:
            consumer.acknowledge(held)
        else:
            delay = b' {"delay": %d}' % int(min(after, AGAIN_MAX) * 1e9) if after else b""
            self._post(held, b"-NAK" + delay)
            consumer.release()
        self._changed.set()

    def _keep(self) -> None:
        """Say of what waits here that it is in work: nobody else need have it meanwhile."""
        loop = asyncio.get_running_loop()
        consumer = self._consumer
        if consumer is None:
            return
        if loop.time() - self._asked < HOLD:
            for delivery in self._waiting.values():
                consumer.in_work(delivery)
        self._keeper = loop.call_later(self._again_after / 3, self._keep)

    def _lose(self, why: str) -> None:
        self._lost = Unavailable(f"the subscription {self.name} has ended: {why}; subscribe again")
        self._changed.set()

    def _post(self, delivery: Delivery, data: bytes) -> None:
        try:
            self._bus.post(delivery.reply, data)
        except Unavailable:
            pass  # it comes again later, by itself

    def _unacknowledged(self) -> LimitExceeded:
        """The error. The server gave up waiting for them too: there is room to have them again."""
        reached("a subscriber does not acknowledge")
        count = len(self._out)
        log.warning("a subscriber does not acknowledge", name=self.name, messages=count)
        self._out.clear()
        if self._consumer is not None:
            self._consumer.release(count)
        return LimitExceeded(
            f"{count} messages of the subscription to {self.topics} are out and none was"
            f" acknowledged for {self._again_after:g} s: call acknowledge() on each that is dealt"
            " with; they come again otherwise",
            limit=self._prefetch,
            value=count,
        )


def _check_bounds(from_: From, prefetch: int, again_after: float) -> None:
    whole = isinstance(from_, int) and not isinstance(from_, bool) and 1 <= from_ < 2**63
    moment = isinstance(from_, datetime) and from_.utcoffset() is not None
    if not (whole or moment or from_ in ("new", "all")):
        raise InvalidSettings(
            f"from_={from_!r:.100}: give 'new', 'all', a sequence from 1, or an aware datetime"
        )
    if not isinstance(prefetch, int) or not 1 <= prefetch <= PREFETCH_MAX:
        raise InvalidSettings(f"prefetch={prefetch!r:.100}: give 1 to {PREFETCH_MAX} messages")
    if not 1 <= again_after <= AGAIN_MAX:
        raise InvalidSettings(f"again_after={again_after!r:.100}: give 1 to {AGAIN_MAX:g} seconds")
