"""Reading messages: `MSG.GET` from the leader, direct get from any replica, which may lag."""

import base64
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from moonlet.simulations.jetstream import headers as fields
from moonlet.simulations.jetstream.consumer import status
from moonlet.simulations.jetstream.refusals import NotSimulated, refused
from moonlet.simulations.jetstream.store import MessageStore, StreamMessage
from moonlet.simulations.jetstream.stream import Stream
from moonlet.streams.api import Headers

MAX_SUBJECTS: Final = 1024  # a request for the last of many is refused beyond
Answer = tuple[Headers | None, bytes]


class GetRequest(msgspec.Struct):
    """The body of a request for messages."""

    seq: int = 0
    last_by_subj: str = ""
    next_by_subj: str = ""
    batch: int = 0
    max_bytes: int = 0
    start_time: str | None = None
    multi_last: list[str] = []
    up_to_seq: int = 0
    up_to_time: str | None = None
    no_hdr: bool = False


def read_get(data: bytes) -> GetRequest:
    """The request in `data`. Raises `msgspec.DecodeError` or `ValidationError`."""
    request = msgspec.json.decode(data, type=GetRequest)
    for name in ("max_bytes", "up_to_time", "no_hdr"):
        if getattr(request, name):
            raise NotSimulated(f"{name} in a request for messages")
    return request


def check_get(data: bytes) -> GetRequest:
    """Judge the body of a `STREAM.MSG.GET`. Raises `ServerRefused`."""
    if data.strip() in (b"", b"{}"):
        raise refused(10003)
    try:
        request = read_get(data)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise refused(10025, err=error) from None
    last, following = request.last_by_subj, request.next_by_subj
    if request.batch or request.max_bytes or (request.seq and last) or (last and following):
        raise refused(10003)
    if request.start_time is not None and (request.seq or last):
        raise refused(10003)
    if not (request.seq or last or following or request.start_time is not None):
        raise refused(10003)
    return request


def get(stream: Stream, request: GetRequest) -> dict[str, Any]:
    """Answer `STREAM.MSG.GET`. Raises `ServerRefused`."""
    message = _find(stream.led, request)
    if message is None:
        raise refused(10037)
    shown: dict[str, Any] = {
        "subject": message.subject,
        "seq": message.sequence,
        "time": fields.rfc3339(message.time),
    }
    if message.headers:
        shown["hdrs"] = base64.b64encode(fields.encode(message.headers)).decode()
    if message.data:
        shown["data"] = base64.b64encode(message.data).decode()
    return {"message": shown}


def _start(store: MessageStore, request: GetRequest) -> int:
    if request.start_time is None:
        return request.seq
    time = fields.from_rfc3339(request.start_time)
    if time is None:
        raise refused(10025, err="parsing time")
    return store.from_time(time)


def _find(store: MessageStore, request: GetRequest) -> StreamMessage | None:
    if request.last_by_subj:
        return store.messages.get(store.last_of(request.last_by_subj))
    start = _start(store, request)
    if request.next_by_subj:
        return store.messages.get(next(store.sequences((request.next_by_subj,), start), 0))
    return store.messages.get(start)


def direct_get(stream: Stream, data: bytes) -> Iterator[Answer]:
    """Answer `DIRECT.GET`: the messages with the server's headers, a status at the end."""
    if not data:
        yield status(408, "Empty Request"), b""
        return
    try:
        request = read_get(data)
    except (msgspec.DecodeError, msgspec.ValidationError):
        yield status(408, "Malformed Request"), b""
        return
    last, following, many = request.last_by_subj, request.next_by_subj, request.multi_last
    timed = request.start_time is not None
    if not (request.seq or last or following or many or timed):
        yield status(408, "Empty Request"), b""
    elif (
        (request.seq and (last or timed))
        or (last and (timed or following or request.batch or many))
        or (following and many)
    ):
        yield status(408, "Bad Request"), b""
    elif many:
        yield from _last_of_many(stream, request)
    elif request.batch:
        yield from _batch(stream, request)
    else:
        message = _find(stream.shown, request)
        if message is None:
            yield status(404, "Message Not Found"), b""
        else:
            yield _shown(stream, message), message.data


def direct_last(stream: Stream, subject: str) -> Iterator[Answer]:
    """Answer `DIRECT.GET.<stream>.<subject>`: the subject's last message."""
    message = stream.shown.messages.get(stream.shown.last_of(subject))
    if message is None:
        yield status(404, "Message Not Found"), b""
    else:
        yield _shown(stream, message), message.data


def _batch(stream: Stream, request: GetRequest) -> Iterator[Answer]:
    store = stream.shown
    start = _start(store, request)
    patterns = (request.next_by_subj or ">",)
    pending = store.count(patterns, start)
    last = 0
    for sequence in store.sequences(patterns, start):
        pending -= 1
        message = store.messages[sequence]
        yield _shown(stream, message, pending, last), message.data
        last = sequence
        request.batch -= 1
        if not request.batch:
            break
    if not last:
        yield status(404, "Message Not Found"), b""
        return
    yield _end(pending, last), b""


def _last_of_many(stream: Stream, request: GetRequest) -> Iterator[Answer]:
    store = stream.shown
    up_to = request.up_to_seq or store.last
    found = store.last_per_subject(tuple(request.multi_last), up_to)
    if store.file and not store.first <= up_to <= store.last:
        found = []
    if len(found) > MAX_SUBJECTS:
        yield status(413, "Too Many Results"), b""
        return
    found = [sequence for sequence in found if sequence >= request.seq]
    if not found:
        yield status(404, "No Results"), b""
        return
    pending, last = len(found), 0
    for sequence in found:
        pending -= 1
        message = store.messages[sequence]
        yield _shown(stream, message, pending, last), message.data
        last = sequence
        request.batch -= 1
        if not request.batch:
            break
    yield {**_end(pending, last), "Nats-UpTo-Sequence": str(up_to)}, b""


def _end(pending: int, last: int) -> dict[str, str]:
    return {
        **status(204, "EOB"),
        "Nats-Num-Pending": str(pending),
        "Nats-Last-Sequence": str(last),
    }


def _shown(
    stream: Stream, message: StreamMessage, pending: int | None = None, last: int = 0
) -> dict[str, str]:
    headers = {
        **(message.headers or {}),
        "Nats-Stream": stream.config.name,
        "Nats-Subject": message.subject,
        "Nats-Sequence": str(message.sequence),
        "Nats-Time-Stamp": fields.rfc3339(message.time),
    }
    if pending is not None:
        headers["Nats-Num-Pending"] = str(pending)
        headers["Nats-Last-Sequence"] = str(last)
    return headers
