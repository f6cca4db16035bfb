"""`MemoryJetStream`: the door of `moonlet.streams.api` to a `MemoryServer`."""

import base64
from asyncio import Future
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import msgspec

from moonlet.core.codec import ENCODING_HEADER
from moonlet.core.errors import MoonletError, Unavailable
from moonlet.core.protocol import PROTOCOL_HEADER
from moonlet.simulations.jetstream import headers as fields
from moonlet.simulations.jetstream.client.connection import Connection, MemorySubscription
from moonlet.simulations.jetstream.server import MemoryServer
from moonlet.streams.api import (
    Delivery,
    Headers,
    Message,
    Outgoing,
    PubAck,
    PullStatus,
    ServerRefused,
    Sieve,
    StoredMessage,
)
from moonlet.streams.nats import gap

_API: Final = "$JS.API."
_TIMEOUT: Final = 5.0  # s, for administration
_QUESTION: Final = "c"  # begins the last token of an answer to an acknowledgement
_encode: Final = msgspec.json.Encoder().encode


class _Error(msgspec.Struct):
    code: int
    err_code: int = 0
    description: str = ""


class _Answer(msgspec.Struct):
    error: _Error | None = None
    stream: str = ""
    seq: int = 0
    duplicate: bool = False


_read_answer: Final = msgspec.json.Decoder(_Answer).decode


class MemoryPull:
    """See `moonlet.streams.api.Pull`."""

    def __init__(
        self, door: "MemoryJetStream", subject: str, inbox: str, subscription: MemorySubscription
    ) -> None:
        self._door = door
        self._subject = subject
        self._inbox = inbox
        self._subscription = subscription

    def request(self, batch: int, *, expires: float) -> None:
        """See `moonlet.streams.api.Pull`."""
        body = _encode({"batch": batch, "expires": round(expires * 1_000_000_000)})
        # The batch stands in the reply subject, for statuses that don't say what is missing.
        self._door.post(self._subject, body, reply=f"{self._inbox}.{batch}")

    def answer_to(self, question: int) -> str:
        """See `moonlet.streams.api.Pull`."""
        return f"{self._inbox}.{_QUESTION}{question}"

    async def close(self) -> None:
        """See `moonlet.streams.api.Pull`."""
        await self._subscription.unsubscribe()


class MemoryJetStream(Connection):
    """One connection to a `MemoryServer`; as `moonlet.streams.api.JetStream` says."""

    @classmethod
    async def connect(cls, server: MemoryServer, *, name: str = "") -> "MemoryJetStream":
        """Connect to `server`. Raises `Unavailable` if it isn't running.

        `name` must be unique among the server's connections; by default they are numbered.
        """
        door = cls(server, name or server.new_name())
        if not door.open():
            raise Unavailable("the simulated server is not running; start it, then connect")
        await door.flush()
        return door

    async def server_info(self) -> dict[str, Any]:
        """See `moonlet.streams.api.JetStream`."""
        started = self.loop.time()
        await self.flush()
        return {
            "version": self.server.version,
            "jetstream": True,
            "max_payload": self.max_payload,
            "rtt": self.loop.time() - started,
        }

    # publishing to streams

    def publish(
        self, subject: str, data: bytes, *, headers: Headers | None = None, timeout: float
    ) -> "Future[PubAck]":
        """See `moonlet.streams.api.JetStream`."""
        future: Future[PubAck] = self.loop.create_future()
        reply = self.new_reply()
        try:
            self.send(self.packet(subject, data, headers, reply))
        except MoonletError as error:
            future.set_exception(error)
        else:
            self.expect(reply, subject, timeout, future, _ack_reader(future))
        return future

    def publish_batch(self, messages: Sequence[Outgoing], *, timeout: float) -> "Future[PubAck]":
        """See `moonlet.streams.api.JetStream`; a batch of one is a plain publish."""
        count = len(messages)
        assert 1 <= count <= 1000, f"a batch of {count}"
        if count == 1:
            only = messages[0]
            return self.publish(only.subject, only.data, headers=only.headers, timeout=timeout)
        future: Future[PubAck] = self.loop.create_future()
        id, first, last = self.new_id(), self.new_reply(), self.new_reply()
        replies = {1: first, count: last}
        try:
            packets = []
            for number, message in enumerate(messages, 1):
                headers = {
                    **message.headers,
                    fields.BATCH_ID: id,
                    fields.BATCH_SEQUENCE: str(number),
                }
                if number == count:
                    headers[fields.BATCH_COMMIT] = "1"
                reply = replies.get(number, "")
                packets.append(self.packet(message.subject, message.data, headers, reply))
            for packet in packets:
                self.send(packet)
        except MoonletError as error:
            future.set_exception(error)
            return future
        read = _ack_reader(future)
        # The server says nothing to the first message if all is well.
        self.expect(first, messages[0].subject, timeout, future, lambda m: not m.data or read(m))
        self.expect(last, messages[-1].subject, timeout, future, read)
        return future

    # reading streams

    async def last_message(
        self, stream: str, subject: str, *, timeout: float = 5.0
    ) -> StoredMessage | None:
        """See `moonlet.streams.api.JetStream`."""
        return await self._get(stream, {"last_by_subj": subject}, timeout)

    async def message(
        self, stream: str, sequence: int, *, timeout: float = 5.0
    ) -> StoredMessage | None:
        """See `moonlet.streams.api.JetStream`."""
        return await self._get(stream, {"seq": sequence}, timeout)

    async def next_message(
        self, stream: str, subject: str, *, start: int, timeout: float = 5.0
    ) -> StoredMessage | None:
        """See `moonlet.streams.api.JetStream`."""
        return await self._get(stream, {"seq": start, "next_by_subj": subject}, timeout)

    async def _get(
        self, stream: str, request: dict[str, Any], timeout: float
    ) -> StoredMessage | None:
        try:
            answer = await self._ask(f"STREAM.MSG.GET.{stream}", request, timeout)
        except ServerRefused as error:
            if error.err_code == 10037:
                return None
            raise
        found = answer["message"]
        stored = fields.from_rfc3339(found["time"])
        assert stored is not None
        return StoredMessage(
            found["subject"],
            found["seq"],
            stored,
            fields.decode(base64.b64decode(found["hdrs"])) if "hdrs" in found else None,
            base64.b64decode(found.get("data", "")),
        )

    async def replica_message(
        self, stream: str, sequence: int, *, timeout: float = 5.0
    ) -> StoredMessage | None:
        """See `moonlet.streams.api.JetStream`."""
        to = f"{_API}DIRECT.GET.{stream}"
        future: Future[StoredMessage | None] = self.loop.create_future()

        def take(message: Message) -> bool:
            headers = message.headers or {}
            code = headers.get("Status", "")
            if not code:
                future.set_result(_read_stored(message))
            elif code == "404":
                future.set_result(None)
            else:
                future.set_exception(ServerRefused(int(code), 0, headers.get("Description", "")))
            return True

        reply = self.new_reply()
        self.send(self.packet(to, _encode({"seq": sequence}), None, reply))
        self.expect(reply, to, timeout, future, take)
        return await future

    async def read_batch(
        self,
        stream: str,
        subject: str,
        *,
        start: int,
        batch: int,
        start_time: int | None = None,
        timeout: float = 5.0,
    ) -> tuple[list[StoredMessage], int]:
        """See `moonlet.streams.api.JetStream`."""
        request: dict[str, Any] = {"batch": batch, "next_by_subj": subject}
        if start_time is None:
            request["seq"] = max(start, 1)
        else:
            request["start_time"] = fields.rfc3339(start_time)
        to = f"{_API}DIRECT.GET.{stream}"
        found: list[StoredMessage] = []
        future: Future[tuple[list[StoredMessage], int]] = self.loop.create_future()

        def take(message: Message) -> bool:
            headers = message.headers or {}
            code = headers.get("Status", "")
            last = found[-1].sequence if found else 0
            if int(headers.get("Nats-Last-Sequence", last)) != last:
                future.set_exception(gap(to))
                return True
            if not code:
                found.append(_read_stored(message))
                return False
            if code in ("204", "404"):
                future.set_result((found, int(headers.get("Nats-Num-Pending", "0"))))
            else:
                error = ServerRefused(int(code), 0, headers.get("Description", ""))
                future.set_exception(error)
            return True

        reply = self.new_reply()
        self.send(self.packet(to, _encode(request), None, reply))
        self.expect(reply, to, timeout, future, take)
        return await future

    # consumers

    async def create_consumer(self, stream: str, config: dict[str, Any]) -> dict[str, Any]:
        """See `moonlet.streams.api.JetStream`."""
        request = {"stream_name": stream, "config": config, "action": "create"}
        subject = f"CONSUMER.CREATE.{stream}.{config['name']}"
        if config.get("filter_subject"):
            subject += f".{config['filter_subject']}"
        return await self._ask(subject, request)

    async def delete_consumer(self, stream: str, name: str) -> bool:
        """See `moonlet.streams.api.JetStream`."""
        try:
            await self._ask(f"CONSUMER.DELETE.{stream}.{name}")
        except ServerRefused as error:
            if error.err_code == 10014:
                return False
            raise
        return True

    async def consumer_names(self, stream: str) -> list[str]:
        """See `moonlet.streams.api.JetStream`."""
        return await self._names(f"CONSUMER.NAMES.{stream}", "consumers")

    async def open_pull(
        self,
        stream: str,
        consumer: str,
        on_deliveries: Callable[[list[Delivery]], None],
        on_status: Callable[[PullStatus], None],
        on_confirmed: Callable[[int], None] | None = None,
        sieve: Sieve | None = None,
    ) -> MemoryPull:
        """See `moonlet.streams.api.JetStream`."""

        def take(message: Message) -> None:
            if message.reply.startswith("$JS.ACK."):
                delivery = _read_delivery(message)
                if sieve is None:
                    on_deliveries([delivery])
                else:
                    sieve.passed(1, delivery.sequence, delivery.consumer_sequence)
                    wanted = sieve.wanted(delivery.subject.encode())
                    on_deliveries([delivery] if wanted else [])
            elif message.headers:
                on_status(_read_status(message))
            elif on_confirmed is not None:
                on_confirmed(int(message.subject.rpartition(".")[2][1:]))

        inbox = self.new_inbox()
        subscription = await self.subscribe(f"{inbox}.*", take)
        return MemoryPull(self, f"{_API}CONSUMER.MSG.NEXT.{stream}.{consumer}", inbox, subscription)

    def acknowledge(self, reply: str, *, answer_to: str = "") -> None:
        """See `moonlet.streams.api.JetStream`; lost, silently, while there is no connection."""
        if self.connected:
            self.post(reply, reply=answer_to)

    # administration

    async def stream_info(self, name: str, *, subjects: str = "") -> dict[str, Any] | None:
        """See `moonlet.streams.api.JetStream`."""
        request = {"subjects_filter": subjects} if subjects else None
        try:
            return await self._ask(f"STREAM.INFO.{name}", request)
        except ServerRefused as error:
            if error.err_code == 10059:
                return None
            raise

    async def stream_names(self) -> list[str]:
        """See `moonlet.streams.api.JetStream`."""
        return await self._names("STREAM.NAMES", "streams")

    async def stream_subjects(self, name: str, filter: str) -> dict[str, int]:
        """See `moonlet.streams.api.JetStream`."""
        found: dict[str, int] = {}
        while True:
            request = {"subjects_filter": filter, "offset": len(found)}
            answer = await self._ask(f"STREAM.INFO.{name}", request)
            page = answer["state"].get("subjects") or {}
            found |= page
            if not page or len(found) >= answer.get("total", 0):
                return dict(sorted(found.items()))

    async def create_stream(self, config: dict[str, Any]) -> dict[str, Any]:
        """See `moonlet.streams.api.JetStream`."""
        return await self._ask(f"STREAM.CREATE.{config['name']}", config)

    async def update_stream(self, config: dict[str, Any]) -> dict[str, Any]:
        """See `moonlet.streams.api.JetStream`."""
        return await self._ask(f"STREAM.UPDATE.{config['name']}", config)

    async def purge_stream(self, name: str, subject: str) -> int:
        """See `moonlet.streams.api.JetStream`."""
        answer = await self._ask(f"STREAM.PURGE.{name}", {"filter": subject})
        purged: int = answer["purged"]
        return purged

    async def _names(self, request: str, kind: str) -> list[str]:
        found: list[str] = []
        while True:
            answer = await self._ask(request, {"offset": len(found)})
            page = answer[kind] or []
            found += page
            if not page or len(found) >= answer["total"]:
                return sorted(found)

    async def _ask(
        self, request: str, body: object = None, timeout: float = _TIMEOUT
    ) -> dict[str, Any]:
        data = b"" if body is None else _encode(body)
        message = await self.request(_API + request, data, timeout=timeout)
        answer: dict[str, Any] = msgspec.json.decode(message.data)
        error = answer.get("error")
        if error is not None:
            raise ServerRefused(error["code"], error.get("err_code", 0), error["description"])
        return answer


def _ack_reader(future: "Future[PubAck]") -> Callable[[Message], bool]:
    """What resolves `future` with the server's answer to a publish."""

    def read(message: Message) -> bool:
        answer = _read_answer(message.data)
        error = answer.error
        if future.done():
            return True
        if error is not None:
            future.set_exception(ServerRefused(error.code, error.err_code, error.description))
        else:
            future.set_result(PubAck(answer.stream, answer.seq, answer.duplicate))
        return True

    return read


def _read_stored(message: Message) -> StoredMessage:
    headers = dict(message.headers or {})
    del headers["Nats-Stream"]
    headers.pop("Nats-Num-Pending", None)
    headers.pop("Nats-Last-Sequence", None)
    stored = fields.from_rfc3339(headers.pop("Nats-Time-Stamp"))
    assert stored is not None
    subject = headers.pop("Nats-Subject")
    sequence = int(headers.pop("Nats-Sequence"))
    return StoredMessage(subject, sequence, stored, headers or None, message.data)


def _read_delivery(message: Message) -> Delivery:
    tokens = message.reply.split(".")
    return Delivery(
        message.subject,
        message.data,
        message.headers,
        message.reply,
        int(tokens[5]),
        int(tokens[6]),
        int(tokens[4]),
        int(tokens[7]),
        message.headers.get(ENCODING_HEADER) if message.headers else None,
        message.headers.get(PROTOCOL_HEADER) if message.headers else None,
    )


def _read_status(message: Message) -> PullStatus:
    headers = message.headers or {}
    code = int(headers["Status"])
    token = message.subject.rpartition(".")[2]
    requested = "0" if token.startswith(_QUESTION) else token
    return PullStatus(
        code,
        headers.get("Description", "No Responders" if code == 503 else ""),
        int(headers.get("Nats-Pending-Messages", requested)),
    )


def contract_opener() -> Callable[[], Awaitable[MemoryJetStream]]:
    """Make one fresh server on the running loop; the result opens connections to it."""
    server = MemoryServer()

    async def connect() -> MemoryJetStream:
        return await MemoryJetStream.connect(server)

    return connect
