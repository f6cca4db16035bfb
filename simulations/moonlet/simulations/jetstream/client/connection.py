"""The client's side of a connection to a `MemoryServer`: core NATS, reconnects, timeouts."""

import asyncio
from asyncio import Future
from collections.abc import Callable
from typing import Any, Final

from moonlet.simulations.jetstream.client.deadlines import Deadlines
from moonlet.simulations.jetstream.refusals import NotSimulated
from moonlet.simulations.jetstream.server import MemoryServer, Packet
from moonlet.streams.api import Disconnected, Headers, Message, NoAnswer, NoResponders
from moonlet.streams.nats import check_subject, encode_headers, too_large

RECONNECT_WAIT: Final = 0.05  # s between attempts
FLUSH_TIMEOUT: Final = 5.0  # s
_REPLIES: Final = 1  # the number of the subscription for all replies


class MemorySubscription:
    """See `moonlet.streams.api.Subscription`."""

    def __init__(
        self,
        connection: "Connection",
        number: int,
        subject: str,
        queue: str,
        handler: Callable[[Message], None],
    ) -> None:
        self._connection = connection
        self.number = number
        self.subject = subject
        self.queue = queue
        self.handler = handler

    async def unsubscribe(self) -> None:
        """See `moonlet.streams.api.Subscription`."""
        self._connection.forget(self)


class _Expected:
    """A reply that somebody waits for. `take` handles it and says whether it was the last."""

    __slots__ = ("future", "subject", "take", "timeout")

    def __init__(
        self,
        subject: str,
        future: "Future[Any]",
        take: Callable[[Message], bool],
        timeout: float,
    ) -> None:
        self.subject = subject
        self.future = future
        self.take = take
        self.timeout = timeout

    def fail(self, error: Exception) -> None:
        """No answer will come."""
        if not self.future.done():
            self.future.set_exception(error)


class Connection:
    """Sends and receives packets; connects again by itself until it is closed."""

    def __init__(self, server: MemoryServer, name: str) -> None:
        self.server = server
        self.name = name
        self.loop = asyncio.get_running_loop()
        self._session = 0
        self._connected = False
        self._closed = False
        self._numbers = _REPLIES
        self._ids = 0
        self._prefix = f"_INBOX.{name}."
        self._expected: dict[str, _Expected] = {}
        self._deadlines = Deadlines(self.loop, self._on_timeout)
        self._pings: dict[int, Future[None]] = {}
        self._on_reconnect: list[Callable[[], None]] = []
        self._on_closed: list[Callable[[], None]] = []
        replies = MemorySubscription(self, _REPLIES, f"{self._prefix}r.*", "", self._on_reply)
        self._subscriptions = {_REPLIES: replies}

    @property
    def connected(self) -> bool:
        """See `moonlet.streams.api.JetStream`."""
        return self._connected

    @property
    def max_payload(self) -> int:
        """See `moonlet.streams.api.JetStream`."""
        return self.server.max_payload

    @property
    def description(self) -> str:
        """See `moonlet.streams.api.JetStream`."""
        return f"the simulated server (as {self.name})"

    def on_reconnect(self, callback: Callable[[], None]) -> Callable[[], None]:
        """See `moonlet.streams.api.JetStream`."""
        return _register(self._on_reconnect, callback)

    def on_closed(self, callback: Callable[[], None]) -> Callable[[], None]:
        """See `moonlet.streams.api.JetStream`."""
        return _register(self._on_closed, callback)

    # the connection

    def open(self) -> bool:
        """Connect and subscribe anew; False if the server is down."""
        self._session += 1
        if not self.server.attach(self.name, self._session, self._arrive, self._lost):
            return False
        self._connected = True
        for subscription in list(self._subscriptions.values()):
            self._send_subscribe(subscription)
        return True

    def _lost(self) -> None:
        self._connected = False
        self._fail_all("was lost")
        if not self._closed:
            self.loop.call_later(RECONNECT_WAIT, self._reconnect)

    def _fail_all(self, what: str) -> None:
        expected, pings = list(self._expected.values()), list(self._pings.values())
        self._expected.clear()
        self._deadlines.clear()
        self._pings.clear()
        for each in expected:
            each.fail(
                NoAnswer(
                    f"the connection to {self.description} {what} before the answer came: it is "
                    "not known whether the message had its effect"
                )
            )
        for ping in pings:
            if not ping.done():
                ping.set_exception(NoAnswer(f"the connection to {self.description} {what}"))

    def _reconnect(self) -> None:
        if self._closed or self._connected:
            return
        if not self.open():
            self.loop.call_later(RECONNECT_WAIT, self._reconnect)
            return
        for callback in list(self._on_reconnect):
            callback()

    async def close(self) -> None:
        """See `moonlet.streams.api.JetStream`."""
        if self._closed:
            return
        self._closed = True
        if self._connected:
            try:
                await self.flush()
            except (Disconnected, NoAnswer):
                pass  # Nothing can be sent any more, and nothing more is promised.
            self._connected = False
            self.server.detach(self.name)
        self._fail_all("was closed")
        for callback in list(self._on_closed):
            callback()

    async def flush(self) -> None:
        """Wait until the server has handled what was sent. Raises `Disconnected`, `NoAnswer`."""
        self._numbers += 1
        number = self._numbers
        future = self._pings[number] = self.loop.create_future()
        self.send(Packet(self.name, self._session, True, "ping", number=number))
        try:
            async with asyncio.timeout(FLUSH_TIMEOUT):
                await future
        except TimeoutError:
            raise NoAnswer(f"{self.description} doesn't answer; try again") from None
        finally:
            self._pings.pop(number, None)

    def send(self, packet: Packet) -> None:
        """Hand a packet to the network. Raises `Disconnected`."""
        if not self._connected:
            raise Disconnected(f"not connected to {self.description}: nothing was sent; try again")
        self.server.carry(packet)

    # core NATS

    def post(
        self, subject: str, data: bytes = b"", *, headers: Headers | None = None, reply: str = ""
    ) -> None:
        """See `moonlet.streams.api.JetStream`."""
        if reply:
            check_subject(reply)
        self.send(self.packet(subject, data, headers, reply))

    def packet(self, subject: str, data: bytes, headers: Headers | None, reply: str) -> Packet:
        """A message on its way. Raises `InvalidId`, `InvalidMessage`, `PayloadTooLarge`."""
        check_subject(subject)
        size = len(data) + (len(encode_headers(headers)) if headers else 0)
        if size > self.max_payload:
            raise too_large(size, self.max_payload, subject)
        message = Message(subject, data, headers or None, reply)
        return Packet(self.name, self._session, True, "message", message)

    async def request(
        self, subject: str, data: bytes = b"", *, headers: Headers | None = None, timeout: float
    ) -> Message:
        """See `moonlet.streams.api.JetStream`."""
        reply = self.new_reply()
        self.send(self.packet(subject, data, headers, reply))
        future: Future[Message] = self.loop.create_future()

        def take(message: Message) -> bool:
            future.set_result(message)
            return True

        self.expect(reply, subject, timeout, future, take)
        return await future

    def new_id(self) -> str:
        """A name that nobody else uses."""
        self._ids += 1
        return f"{self.name}-{self._ids}"

    def new_inbox(self) -> str:
        """See `moonlet.streams.api.JetStream`."""
        self._ids += 1
        return f"{self._prefix}{self._ids}"

    async def subscribe(
        self, subject: str, handler: Callable[[Message], None], *, queue: str = ""
    ) -> MemorySubscription:
        """See `moonlet.streams.api.JetStream`."""
        check_subject(subject)
        self._numbers += 1
        subscription = MemorySubscription(self, self._numbers, subject, queue, handler)
        self._send_subscribe(subscription)
        self._subscriptions[subscription.number] = subscription
        try:
            await self.flush()
        except BaseException:
            self.forget(subscription)
            raise
        return subscription

    def forget(self, subscription: MemorySubscription) -> None:
        """End a subscription; for `MemorySubscription`."""
        if self._subscriptions.pop(subscription.number, None) is not None and self._connected:
            number = subscription.number
            self.send(Packet(self.name, self._session, True, "unsubscribe", number=number))

    def _send_subscribe(self, subscription: MemorySubscription) -> None:
        self.send(
            Packet(
                self.name,
                self._session,
                True,
                "subscribe",
                number=subscription.number,
                subject=subscription.subject,
                queue=subscription.queue,
            )
        )

    # replies

    def new_reply(self) -> str:
        """The reply subject of a request; what comes to it goes to what `expect` is told."""
        self._ids += 1
        return f"{self._prefix}r.{self._ids}"

    def expect(
        self,
        reply: str,
        subject: str,
        timeout: float,
        future: "Future[Any]",
        take: Callable[[Message], bool],
    ) -> None:
        """Hand answers at `reply` to `take` until it says that there are no more.

        After `timeout` seconds, or without responders, `future` gets the error.
        """
        self._expected[reply] = _Expected(subject, future, take, timeout)
        self._deadlines.add(reply, timeout)

    def _on_timeout(self, reply: str) -> None:
        expected = self._expected.pop(reply, None)
        if expected is None:
            return
        expected.fail(
            NoAnswer(
                f"no answer from {expected.subject} within {expected.timeout} s: it is not known "
                "whether the message had its effect; look before you repeat it"
            )
        )

    def _on_reply(self, message: Message) -> None:
        expected = self._expected.get(message.subject)
        if expected is None:
            return
        done = expected.future.done()
        status = message.headers.get("Status", "") if message.headers else ""
        if status == "501":
            done = True
            expected.fail(NotSimulated(message.data.decode()))
        elif status == "503" and not message.data:
            done = True
            expected.fail(
                NoResponders(
                    "nobody received the message: no stream and no subscriber takes "
                    f"{expected.subject}; create the stream or start the service"
                )
            )
        if done or expected.take(message):
            del self._expected[message.subject]

    def _arrive(self, packet: Packet) -> None:
        if packet.session != self._session or not self._connected:
            return
        if packet.kind == "pong":
            ping = self._pings.pop(packet.number, None)
            if ping is not None and not ping.done():
                ping.set_result(None)
            return
        message = packet.message
        assert message is not None
        subscription = self._subscriptions.get(packet.number)
        if subscription is not None:
            subscription.handler(message)
        elif message.headers and message.headers.get("Status") == "501":
            if message.subject not in self._expected:
                raise NotSimulated(message.data.decode())
            self._on_reply(message)


def _register(
    callbacks: list[Callable[[], None]], callback: Callable[[], None]
) -> Callable[[], None]:
    callbacks.append(callback)

    def remove() -> None:
        if callback in callbacks:
            callbacks.remove(callback)

    return remove
