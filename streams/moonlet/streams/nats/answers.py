"""Answers awaited: one inbox for all publishes and requests, each under a number of its own."""

import asyncio
import math
from collections.abc import Callable, Collection
from typing import Any

import msgspec

from moonlet.core.errors import MoonletError, PermissionDenied
from moonlet.streams.api import (
    Message,
    NoAnswer,
    NoResponders,
    PubAck,
    ServerRefused,
    StoredMessage,
)
from moonlet.streams.codes import NO_LEADER
from moonlet.streams.nats.headers import decode_headers, decode_time, status_code

TICK_SECONDS = 0.05  # timeouts are kept to this; one timer serves them all


class ApiError(msgspec.Struct):
    """The server's account of a refusal."""

    code: int = 0
    err_code: int = 0
    description: str = ""

    def refusal(self) -> ServerRefused | NoResponders:
        """As an exception. A cluster without a leader refuses nothing: it is unavailable."""
        if self.err_code in NO_LEADER:
            return NoResponders(
                f"the cluster has no leader just now ({self.description}): nothing was done; it"
                " is electing one, try again"
            )
        return ServerRefused(self.code, self.err_code, self.description)


class _Ack(msgspec.Struct):
    stream: str = ""
    seq: int = 0
    duplicate: bool = False
    error: ApiError | None = None


_decode_ack = msgspec.json.Decoder(_Ack).decode


def no_responders(subject: str) -> NoResponders:
    """The error for a subject that nobody listens on."""
    return NoResponders(
        f"nobody received the message: no stream and no subscriber takes {subject}; "
        "create the stream or start the service"
    )


def gap(subject: str) -> NoAnswer:
    """The error for an answer in several messages of which one is missing."""
    return NoAnswer(f"a part of the answer from {subject} was lost on its way: read again")


class Waiting:
    """One answer awaited by `future`, after a message to `subjects`."""

    __slots__ = ("future", "subjects")

    def __init__(self, future: "asyncio.Future[Any]", subjects: Collection[str]) -> None:
        self.future = future
        self.subjects = subjects

    def answer(self, subject: bytes, reply: bytes, data: bytes, headers: bytes | None) -> bool:
        """Take an answer; whether that was the last."""
        raise NotImplementedError

    def fail(self, error: MoonletError) -> None:
        """No answer will come."""
        if not self.future.done():
            self.future.set_exception(error)


class PublishWaiting(Waiting):
    """Waits for the acknowledgement of one message, or of a batch's last."""

    __slots__ = ()

    def answer(self, subject: bytes, reply: bytes, data: bytes, headers: bytes | None) -> bool:
        """Resolve with a `PubAck`, or with the server's refusal."""
        future = self.future
        if future.done():
            return True
        if headers is not None and status_code(headers) == 503:
            future.set_exception(no_responders(next(iter(self.subjects))))
            return True
        try:
            ack = _decode_ack(data)
        except msgspec.DecodeError as error:
            future.set_exception(NoAnswer(f"the server's acknowledgement can't be read: {error}"))
            return True
        if ack.error is not None:
            future.set_exception(ack.error.refusal())
        else:
            future.set_result(PubAck(ack.stream, ack.seq, ack.duplicate))
        return True


class BatchStartWaiting(PublishWaiting):
    """Waits for what the server says to a batch's first message: nothing, if all is well.

    A refusal here (too many open batches, not allowed) is the cause; the last message's is then
    only that its batch is unknown.
    """

    __slots__ = ()

    def answer(self, subject: bytes, reply: bytes, data: bytes, headers: bytes | None) -> bool:
        """Pass on a refusal."""
        if data or headers:
            super().answer(subject, reply, data, headers)
        return True


class RequestWaiting(Waiting):
    """Waits for one answer of any kind."""

    __slots__ = ()

    def answer(self, subject: bytes, reply: bytes, data: bytes, headers: bytes | None) -> bool:
        """Resolve with the `Message`."""
        future = self.future
        if future.done():
            return True
        if status_code(headers) == 503:
            future.set_exception(no_responders(next(iter(self.subjects))))
            return True
        decoded = decode_headers(headers) if headers else None
        future.set_result(Message(subject.decode(), data, decoded, reply.decode()))
        return True


class MessageWaiting(Waiting):
    """Waits for one message by direct get."""

    __slots__ = ()

    def answer(self, subject: bytes, reply: bytes, data: bytes, headers: bytes | None) -> bool:
        """Resolve with the message, or None if there is none."""
        if self.future.done():
            return True
        named = decode_headers(headers or b"")
        code = status_code(headers)
        if not code:
            self.future.set_result(_stored(named, data))
        elif code == 404:
            self.future.set_result(None)
        elif code == 503:
            self.fail(no_responders(next(iter(self.subjects))))
        else:
            self.fail(ServerRefused(code, 0, named.get("Description", "")))
        return True


class PageWaiting(Waiting):
    """Collects the messages of a batched direct get (ADR-31) up to its end mark.

    Each names the sequence of the one before it, so a lost one doesn't go unseen.
    """

    __slots__ = ("last", "messages")

    def __init__(self, future: "asyncio.Future[Any]", subjects: Collection[str]) -> None:
        super().__init__(future, subjects)
        self.messages: list[StoredMessage] = []
        self.last = 0

    def answer(self, subject: bytes, reply: bytes, data: bytes, headers: bytes | None) -> bool:
        """Collect; resolve with the messages and how many more there are."""
        if self.future.done():
            return True
        named = decode_headers(headers or b"")
        code = status_code(headers)
        if int(named.get("Nats-Last-Sequence", self.last)) != self.last:
            self.fail(gap(next(iter(self.subjects))))
            return True
        if not code:
            message = _stored(named, data)
            self.messages.append(message)
            self.last = message.sequence
            return False
        if code == 204:
            self.future.set_result((self.messages, int(named.get("Nats-Num-Pending", 0))))
        elif code == 404:
            self.future.set_result((self.messages, 0))
        elif code == 503:
            self.fail(no_responders(next(iter(self.subjects))))
        else:
            self.fail(ServerRefused(code, 0, named.get("Description", "")))
        return True


def _stored(headers: dict[str, str], data: bytes) -> StoredMessage:
    # The server adds its own to the message's headers, which are given as they were stored.
    del headers["Nats-Stream"]
    headers.pop("Nats-Num-Pending", None)
    headers.pop("Nats-Last-Sequence", None)
    subject = headers.pop("Nats-Subject")
    sequence = int(headers.pop("Nats-Sequence"))
    time = decode_time(headers.pop("Nats-Time-Stamp"))
    return StoredMessage(subject, sequence, time, headers or None, data)


class Answers:
    """All answers awaited on `<prefix><number>`; each is resolved within its timeout."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self._prefix_length = len(prefix.encode())
        self._waiting: dict[int, Waiting] = {}
        self.last = 0
        """The last number that was used; whoever asks takes the next."""
        self._loop = asyncio.get_running_loop()
        # The numbers that end at a tick. Resolved ones are left in and skipped: cheaper than a
        # timer for each.
        self._ticks: dict[int, list[int]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._timer_tick = 0

    def expect(self, number: int, waiting: Waiting, timeout: float) -> None:
        """From now on answers to `number` go to `waiting`, for `timeout` seconds."""
        self._waiting[number] = waiting
        tick = math.ceil((self._loop.time() + timeout) / TICK_SECONDS)
        numbers = self._ticks.get(tick)
        if numbers is not None:
            numbers.append(number)
            return
        self._ticks[tick] = [number]
        if self._timer is None or tick < self._timer_tick:
            self._set_timer(tick)

    def take(self, subject: bytes, reply: bytes, data: bytes, headers: bytes | None) -> None:
        """Handle a message to the inbox; late and unknown ones are dropped."""
        token = subject[self._prefix_length :]
        if not token.isdigit():
            return
        number = int(token)
        waiting = self._waiting.get(number)
        if waiting is not None and waiting.answer(subject, reply, data, headers):
            del self._waiting[number]

    def deny(self, subject: str) -> bool:
        """The server denied publishing to `subject`; whether anyone waited for it."""
        denied = [(n, w) for n, w in self._waiting.items() if subject in w.subjects]
        for number, waiting in denied:
            del self._waiting[number]
            waiting.fail(
                PermissionDenied(
                    f"the server denied publishing to {subject}: allow it for this "
                    "connection's user",
                    subject=subject,
                )
            )
        return bool(denied)

    def fail_all(self, error: Callable[[], MoonletError]) -> None:
        """Nobody will get an answer any more."""
        waiting = list(self._waiting.values())
        self._waiting.clear()
        self._ticks.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for each in waiting:
            each.fail(error())

    def _set_timer(self, tick: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_tick = tick
        self._timer = self._loop.call_at(tick * TICK_SECONDS, self._expire)

    def _expire(self) -> None:
        now = self._loop.time() / TICK_SECONDS
        self._timer = None
        for tick in sorted(self._ticks):
            if tick > now and tick != self._timer_tick:
                self._set_timer(tick)
                break
            for number in self._ticks.pop(tick):
                waiting = self._waiting.pop(number, None)
                if waiting is not None:
                    waiting.fail(
                        NoAnswer(
                            f"no answer in time from {next(iter(waiting.subjects))}: it is not "
                            "known whether the message had its effect; look before you repeat it"
                        )
                    )
