"""`JetStream` over nats-py: the connection, messages, publishing and pulling."""

import asyncio
from asyncio import Future
from collections.abc import Callable, Sequence
from typing import Any

from moonlet.core.errors import MoonletError, PermissionDenied
from moonlet.streams.api import (
    Delivery,
    Disconnected,
    Headers,
    Message,
    NoAnswer,
    Outgoing,
    PubAck,
    Pull,
    PullStatus,
    Sieve,
    Subscription,
)
from moonlet.streams.nats.admin import Administration
from moonlet.streams.nats.answers import (
    Answers,
    BatchStartWaiting,
    PublishWaiting,
    RequestWaiting,
    Waiting,
)
from moonlet.streams.nats.headers import decode_headers
from moonlet.streams.nats.pull import NATIVE_DELIVERIES, NatsPull, PullCallbacks
from moonlet.streams.nats.reads import RawHandler
from moonlet.streams.nats.wire import (
    NatsWire,
    check_subject,
    encode_publish,
)
from moonlet.telemetry.log import get_logger

BATCH_MESSAGES_MAX = 1000  # the server's own limit by default (ADR-50)
SUBSCRIBE_SECONDS = 5.0
CLOSE_SECONDS = 2.0

log = get_logger(__name__)


class NatsSubscription:
    """A subscription of a `NatsWire`."""

    def __init__(self, wire: NatsWire, number: int) -> None:
        self._wire = wire
        self._number = number

    async def unsubscribe(self) -> None:
        """End it; no handler runs afterwards."""
        self._wire.unsubscribe_raw(self._number)


class NatsJetStream(Administration):
    """One connection of nats-py, opened by `connection.open`."""

    def __init__(self, wire: NatsWire, description: str) -> None:
        self._wire = wire
        self._description = description
        self._answers = Answers(f"{wire.new_inbox()}.")
        self._loop = asyncio.get_running_loop()
        self._batch_prefix = wire.new_inbox().rpartition(".")[2]
        self._reconnect_callbacks: list[Callable[[], None]] = []
        self._closed_callbacks: list[Callable[[], None]] = []
        self._closed = False
        self._denied_subscriptions: set[str] = set()
        self._denials = 0
        self._denial_logged = -1.0
        self._pulls: set[NatsPull] = set()
        self.post = wire.post
        self.acknowledge = wire.acknowledge
        wire.native = NATIVE_DELIVERIES
        wire.on_denied = self._take_denial
        wire.on_lost = self._take_loss

    async def begin(self) -> None:
        """Open the inbox for answers: the first thing to do with a new connection."""
        await self._subscribe(f"{self._answers.prefix}*", self._answers.take, "")

    @property
    def connected(self) -> bool:
        """Whether messages can be sent now."""
        return self._wire.ready

    @property
    def max_payload(self) -> int:
        """The server's limit for one message, headers included, in bytes."""
        return int(self._wire.max_payload)

    @property
    def description(self) -> str:
        """Where this connects to; holds no secret."""
        return self._description

    def on_reconnect(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back after every reconnect; returns what removes it."""
        return _register(self._reconnect_callbacks, callback)

    def on_closed(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back when the connection ends for good; returns what removes it."""
        return _register(self._closed_callbacks, callback)

    async def close(self) -> None:
        """Send what is buffered, for 2 s at most, then disconnect. Twice is harmless."""
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._wire.close()
        except Exception as error:  # the server hangs or is gone: there is nothing to save
            log.debug("nats_close_failed", error=f"{type(error).__name__}: {error}")
            self._wire.abort()
            await self._wire.close()
        self.take_closed()

    async def server_info(self) -> dict[str, Any]:
        """What the server told at the connect, and `rtt`, measured now, in seconds."""
        start = self._loop.time()
        await self._wire.round_trip(SUBSCRIBE_SECONDS)
        info = self._wire.info
        info.pop("nonce", None)
        info.setdefault("jetstream", False)
        return {**info, "rtt": self._loop.time() - start}

    # core NATS

    async def request(
        self, subject: str, data: bytes = b"", *, headers: Headers | None = None, timeout: float
    ) -> Message:
        """Send and wait for one answer."""
        message: Message = await self._ask(RequestWaiting, subject, data, headers, timeout)
        return message

    def _ask(
        self,
        waiting: type[Waiting],
        subject: str,
        data: bytes,
        headers: Headers | None,
        timeout: float,
    ) -> "Future[Any]":
        answers = self._answers
        number = answers.last = answers.last + 1
        self._wire.send_message(subject, f"{answers.prefix}{number}", data, headers)
        future: Future[Any] = self._loop.create_future()
        answers.expect(number, waiting(future, (subject,)), timeout)
        return future

    def new_inbox(self) -> str:
        """A subject that nobody else knows, under the user's inbox prefix."""
        return str(self._wire.new_inbox())

    async def subscribe(
        self, subject: str, handler: Callable[[Message], None], *, queue: str = ""
    ) -> Subscription:
        """Call `handler` for each message; raises `PermissionDenied`, `Disconnected`."""

        def take(subject: bytes, reply: bytes, data: bytes, headers: bytes | None) -> None:
            decoded = decode_headers(headers) if headers else None
            handler(Message(subject.decode(), data, decoded, reply.decode()))

        return NatsSubscription(self._wire, await self._subscribe(subject, take, queue))

    # publishing to streams

    def publish(
        self, subject: str, data: bytes, *, headers: Headers | None = None, timeout: float
    ) -> "Future[PubAck]":
        """Store one message; every error comes from the future, none from this call."""
        future: Future[PubAck] = self._loop.create_future()
        answers = self._answers
        number = answers.last = answers.last + 1
        try:
            self._wire.send_message(subject, f"{answers.prefix}{number}", data, headers)
        except MoonletError as error:
            future.set_exception(error)
            return future
        answers.expect(number, PublishWaiting(future, (subject,)), timeout)
        return future

    def publish_batch(self, messages: Sequence[Outgoing], *, timeout: float) -> "Future[PubAck]":
        """Store all or none; a batch of one is a plain publish, which is ten times faster."""
        count = len(messages)
        assert 1 <= count <= BATCH_MESSAGES_MAX, f"a batch of {count}"
        if count == 1:
            only = messages[0]
            return self.publish(only.subject, only.data, headers=only.headers, timeout=timeout)
        future: Future[PubAck] = self._loop.create_future()
        answers = self._answers
        first, last = answers.last + 1, answers.last + 2
        answers.last = last
        limit = self._wire.max_payload
        batch_id = f"{self._batch_prefix}-{first}"
        frames = []
        try:
            for index, message in enumerate(messages, 1):
                more = f"Nats-Batch-Id: {batch_id}\r\nNats-Batch-Sequence: {index}\r\n"
                reply = f"{answers.prefix}{first}" if index == 1 else ""
                if index == count:
                    more += "Nats-Batch-Commit: 1\r\n"
                    reply = f"{answers.prefix}{last}"
                frames.append(
                    encode_publish(
                        message.subject, reply, message.data, message.headers, limit, more
                    )
                )
            self._wire.send(b"".join(frames))
        except MoonletError as error:
            future.set_exception(error)
            return future
        subjects = {message.subject: None for message in messages}
        answers.expect(first, BatchStartWaiting(future, subjects), timeout)
        answers.expect(last, PublishWaiting(future, subjects), timeout)
        return future

    # consumers

    async def open_pull(
        self,
        stream: str,
        consumer: str,
        on_deliveries: Callable[[list[Delivery]], None],
        on_status: Callable[[PullStatus], None],
        on_confirmed: Callable[[int], None] | None = None,
        sieve: Sieve | None = None,
    ) -> Pull:
        """Open an inbox for pulls; a denied pull request comes back as status 403."""
        inbox = self.new_inbox()
        told = PullCallbacks(on_deliveries, on_status, on_confirmed)
        pull = NatsPull(self._wire, stream, consumer, inbox, told)
        check_subject(pull.next_subject)
        number = await self._subscribe(f"{inbox}.*", pull.handler, "")
        self._pulls.add(pull)
        if sieve is None:
            self._wire.gathered[b"%d" % number] = pull
        else:
            self._wire.sift(number, pull.sift(sieve))

        def end() -> None:
            self._wire.unsubscribe_raw(number)
            self._pulls.discard(pull)

        pull.on_close = end
        return pull

    # what happens to the connection

    async def _subscribe(self, subject: str, take: RawHandler, queue: str) -> int:
        check_subject(subject)
        if not self._wire.ready:
            raise Disconnected(f"not subscribed to {subject}: there is no connection now")
        number = await self._wire.subscribe_raw(subject, take, queue)
        try:
            await self._wire.round_trip(SUBSCRIBE_SECONDS)  # a denial comes before the answer
            if subject in self._denied_subscriptions:
                self._denied_subscriptions.discard(subject)
                raise PermissionDenied(
                    f"the server denied subscribing to {subject}: allow it for this "
                    "connection's user (for an inbox: or set the context's inbox_prefix)",
                    subject=subject,
                )
        except BaseException:
            self._wire.unsubscribe_raw(number)
            raise
        return number

    def _take_denial(self, what: str, subject: str) -> None:
        if what == "Subscription":
            self._denied_subscriptions.add(subject)
            return
        waited = self._answers.deny(subject)
        for pull in [pull for pull in self._pulls if pull.next_subject == subject]:
            pull.deny()
            waited = True
        if not waited:
            self._log_denial(subject)

    def _log_denial(self, subject: str) -> None:
        """Once a second at most: a host without the right to acknowledge denies thousands."""
        self._denials += 1
        now = self._loop.time()
        if now - self._denial_logged >= 1.0:
            log.warning("nats_publish_denied", subject=subject, count=self._denials)
            self._denials, self._denial_logged = 0, now

    def _take_loss(self, reason: str) -> None:
        log.warning("nats_connection_lost", server=self._description, reason=reason)
        self._answers.fail_all(
            lambda: NoAnswer(
                f"the connection to {self._description} was lost before the answer came "
                f"({reason}): it is not known whether the message had its effect"
            )
        )

    def take_reconnect(self) -> None:
        """The connection is there again."""
        self._wire.trouble = ""
        log.info("nats_reconnected", server=self._description)
        for callback in list(self._reconnect_callbacks):
            _call(callback)

    def take_closed(self) -> None:
        """The connection has ended for good; once only."""
        if self._closed:
            return
        self._closed = True
        self._answers.fail_all(
            lambda: NoAnswer(
                f"the connection to {self._description} was closed before the answer came: it "
                "is not known whether the message had its effect"
            )
        )
        for callback in list(self._closed_callbacks):
            _call(callback)


def _register(
    callbacks: list[Callable[[], None]], callback: Callable[[], None]
) -> Callable[[], None]:
    callbacks.append(callback)

    def remove() -> None:
        if callback in callbacks:
            callbacks.remove(callback)

    return remove


def _call(callback: Callable[[], None]) -> None:
    try:
        callback()
    except Exception:  # the others must hear of it too
        log.exception("connection_callback_failed")
