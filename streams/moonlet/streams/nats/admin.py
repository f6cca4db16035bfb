"""Reading streams and administering them, through the server's JSON API."""

from asyncio import Future
from typing import Any

import msgspec

from moonlet.core.errors import InvalidId
from moonlet.streams.api import Headers, Message, NoAnswer, ServerRefused, StoredMessage
from moonlet.streams.codes import CONSUMER_NOT_FOUND, NO_MESSAGE, STREAM_NOT_FOUND
from moonlet.streams.nats.answers import ApiError, MessageWaiting, PageWaiting, Waiting
from moonlet.streams.nats.headers import decode_headers, decode_time, encode_time

API_SECONDS = 5.0


class _Raw(msgspec.Struct):
    subject: str
    seq: int
    time: str
    data: bytes = b""  # base64 in JSON
    hdrs: bytes | None = None


class _MessageAnswer(msgspec.Struct):
    message: _Raw | None = None
    error: ApiError | None = None


_decode_message = msgspec.json.Decoder(_MessageAnswer).decode
_decode_any = msgspec.json.Decoder(dict[str, Any]).decode


class Administration:
    """The part of `JetStream` that asks and waits; `NatsJetStream` sends for it."""

    def _ask(
        self,
        waiting: type[Waiting],
        subject: str,
        data: bytes,
        headers: Headers | None,
        timeout: float,
    ) -> "Future[Any]":
        raise NotImplementedError

    async def request(
        self, subject: str, data: bytes = b"", *, headers: Headers | None = None, timeout: float
    ) -> Message:
        """Send and wait for one answer."""
        raise NotImplementedError

    async def _api(
        self, operation: str, name: str, body: dict[str, Any] | None = None, part: str = ""
    ) -> dict[str, Any]:
        """One call of `$JS.API.<operation>[.<name>[.<part>]]`; raises the server's refusal."""
        subject = ".".join(("$JS.API", operation, *(_token(n) for n in (name, part) if n)))
        data = msgspec.json.encode(body) if body is not None else b""
        answer = await self.request(subject, data, timeout=API_SECONDS)
        try:
            decoded = _decode_any(answer.data)
            if error := decoded.get("error"):
                raise msgspec.convert(error, ApiError).refusal()
        except msgspec.MsgspecError as error:
            raise NoAnswer(f"the server's answer to {subject} can't be read: {error}") from error
        return decoded

    # reading streams

    async def last_message(
        self, stream: str, subject: str, *, timeout: float = 5.0
    ) -> StoredMessage | None:
        """The subject's last message, read from the stream's leader; None if there is none."""
        return await self._message(stream, {"last_by_subj": subject}, timeout)

    async def message(
        self, stream: str, sequence: int, *, timeout: float = 5.0
    ) -> StoredMessage | None:
        """The message of this sequence, read from the stream's leader; None if there is none."""
        return await self._message(stream, {"seq": sequence}, timeout)

    async def next_message(
        self, stream: str, subject: str, *, start: int, timeout: float = 5.0
    ) -> StoredMessage | None:
        """The subject's first message from a sequence on, read from the stream's leader."""
        return await self._message(stream, {"seq": start, "next_by_subj": subject}, timeout)

    async def _message(
        self, stream: str, what: dict[str, Any], timeout: float
    ) -> StoredMessage | None:
        subject = f"$JS.API.STREAM.MSG.GET.{_token(stream)}"
        answer = await self.request(subject, msgspec.json.encode(what), timeout=timeout)
        try:
            decoded = _decode_message(answer.data)
        except msgspec.MsgspecError as error:
            raise NoAnswer(f"the server's answer to {subject} can't be read: {error}") from error
        if decoded.error is not None:
            if decoded.error.err_code in NO_MESSAGE:
                return None
            raise decoded.error.refusal()
        raw = decoded.message
        assert raw is not None, "an answer is a message or an error"
        headers = decode_headers(raw.hdrs) if raw.hdrs else None
        return StoredMessage(raw.subject, raw.seq, decode_time(raw.time), headers, raw.data)

    async def replica_message(
        self, stream: str, sequence: int, *, timeout: float = 5.0
    ) -> StoredMessage | None:
        """The message of this sequence by direct get; None where it is not, or not yet."""
        subject = f"$JS.API.DIRECT.GET.{_token(stream)}"
        message: StoredMessage | None = await self._ask(
            MessageWaiting, subject, b'{"seq":%d}' % sequence, None, timeout
        )
        return message

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
        """A page of messages, by direct get, and how many more there are."""
        body: dict[str, Any] = {"batch": batch, "next_by_subj": subject}
        if start_time is None:
            body["seq"] = start
        else:
            body["start_time"] = encode_time(start_time)
        page: tuple[list[StoredMessage], int] = await self._ask(
            PageWaiting,
            f"$JS.API.DIRECT.GET.{_token(stream)}",
            msgspec.json.encode(body),
            None,
            timeout,
        )
        return page

    # consumers

    async def create_consumer(self, stream: str, config: dict[str, Any]) -> dict[str, Any]:
        """Create the consumer, or confirm an equal one; raises what the server says of another."""
        body = {"stream_name": stream, "config": config, "action": "create"}
        return await self._api("CONSUMER.CREATE", stream, body, config["name"])

    async def delete_consumer(self, stream: str, name: str) -> bool:
        """Delete; False if there was none."""
        return (
            await self._found(CONSUMER_NOT_FOUND, "CONSUMER.DELETE", stream, None, name) is not None
        )

    async def consumer_names(self, stream: str) -> list[str]:
        """The names of all consumers, sorted."""
        return await self._names("CONSUMER.NAMES", stream, "consumers")

    # streams

    async def account_info(self) -> dict[str, Any]:
        """The account's JetStream usage and limits; `ServerRefused` if it has none."""
        return await self._api("INFO", "")

    async def stream_info(self, name: str, *, subjects: str = "") -> dict[str, Any] | None:
        """`config`, `state`, `created`, … as the server gives them; None if there is none."""
        body = {"subjects_filter": subjects} if subjects else None
        return await self._found(STREAM_NOT_FOUND, "STREAM.INFO", name, body)

    async def stream_names(self) -> list[str]:
        """The names of all streams, sorted."""
        return await self._names("STREAM.NAMES", "", "streams")

    async def stream_subjects(self, name: str, filter: str) -> dict[str, int]:
        """How many messages each subject has; large streams are read in pages."""
        subjects: dict[str, int] = {}
        while True:
            body = {"subjects_filter": filter, "offset": len(subjects)}
            info = await self._api("STREAM.INFO", name, body)
            page = info["state"].get("subjects") or {}
            subjects.update(page)
            if not page or len(subjects) >= info.get("total", 0):
                return dict(sorted(subjects.items()))

    async def create_stream(self, config: dict[str, Any]) -> dict[str, Any]:
        """Create, or confirm an equal one; returns its info."""
        return await self._api("STREAM.CREATE", config["name"], config)

    async def update_stream(self, config: dict[str, Any]) -> dict[str, Any]:
        """Replace the whole configuration: what is left out is reset."""
        return await self._api("STREAM.UPDATE", config["name"], config)

    async def purge_stream(self, name: str, subject: str) -> int:
        """Remove the messages of `subject`; returns how many."""
        answer = await self._api("STREAM.PURGE", name, {"filter": subject})
        return int(answer["purged"])

    async def _found(
        self,
        absent: int,
        operation: str,
        name: str,
        body: dict[str, Any] | None = None,
        part: str = "",
    ) -> dict[str, Any] | None:
        try:
            return await self._api(operation, name, body, part)
        except ServerRefused as refusal:
            if refusal.err_code == absent:
                return None
            raise

    async def _names(self, operation: str, name: str, field: str) -> list[str]:
        names: list[str] = []
        while True:
            answer = await self._api(operation, name, {"offset": len(names)})
            page = answer.get(field) or []
            names += page
            if not page or len(names) >= answer["total"]:
                return sorted(names)


def _token(name: str) -> str:
    """A stream's or consumer's name, which is one token of the API's subject."""
    if not name or any(c in ".*>/\\" or c.isspace() for c in name):
        raise InvalidId(f"{name!r} can't name a stream or consumer: no '.', '*', '>' or space")
    return name
