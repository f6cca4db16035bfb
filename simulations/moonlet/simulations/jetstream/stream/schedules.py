"""Message schedules (ADR-51), as far as one-shot `@at` goes."""

from collections.abc import Callable
from typing import Final

from moonlet.simulations.jetstream import headers as fields
from moonlet.simulations.jetstream import subjects
from moonlet.simulations.jetstream.refusals import NotSimulated, refused
from moonlet.simulations.jetstream.store import MessageStore, StreamMessage
from moonlet.simulations.jetstream.stream.state import StreamState
from moonlet.streams.api import Headers

_REPEATING: Final = (
    "@every ",
    "@yearly",
    "@annually",
    "@monthly",
    "@weekly",
    "@daily",
    "@midnight",
    "@hourly",
)

_WRAPS: Final = 1 << 63
"""The server's times are signed nanoseconds in 64 bits: from April 2262 on they wrap around."""

StoreMessage = Callable[[int, str, Headers, bytes], object]
"""(now, subject, headers, data): store what was judged."""


def _read(headers: Headers) -> int | None:
    """When the message is to be fired, in nanoseconds; None if it is no schedule.

    Raises `ServerRefused` for a pattern that the server doesn't take.
    """
    pattern = headers.get(fields.SCHEDULE, "")
    zone = headers.get(fields.SCHEDULE_ZONE)
    if zone is not None:
        raise NotSimulated("time zones of schedules")
    if not pattern:
        return None
    if pattern.startswith(_REPEATING) or len(pattern.split()) == 6:
        raise NotSimulated("repeating schedules")
    at = fields.from_rfc3339(pattern[4:]) if pattern.startswith("@at ") else None
    if at is None:
        raise refused(10189)
    return (at + _WRAPS) % (2 * _WRAPS) - _WRAPS


class Schedules:
    """The schedules of one stream, by subject; each fires once, by `fire`, and is then purged."""

    def __init__(self, stream: StreamState, fire: StoreMessage) -> None:
        self._stream = stream
        self._store_fired = fire
        self._due: dict[str, tuple[int, int]] = {}
        self._alarm = stream.context.alarms.new(self._fire)

    def stored(self, now: int, message: StreamMessage) -> None:
        """The stream stored `message`: a schedule, or what replaces the one on its subject."""
        headers = message.headers or {}
        at = _read(headers) if fields.SCHEDULE in headers else None
        if at is not None:
            self._due[message.subject] = (at, message.sequence)
            self._alarm.pace(now, self._next())
        elif not headers.get(fields.SCHEDULER):
            self._due.pop(message.subject, None)

    def removed(self, message: StreamMessage) -> None:
        """The stream removed `message`."""
        due = self._due.get(message.subject)
        if due is not None and due[1] == message.sequence:
            del self._due[message.subject]

    def recover(self, now: int) -> None:
        """Build anew from what is stored: after a restart or another configuration."""
        self._due.clear()
        self._alarm.stop()
        if self._stream.config.allow_msg_schedules:
            for message in self._stream.store.messages.values():
                self.stored(now, message)

    def stop(self) -> None:
        """The stream is gone."""
        self._alarm.stop()

    def _next(self) -> int | None:
        return min((at for at, _ in self._due.values()), default=None)

    def _fire(self, now: int) -> None:
        due = sorted(sequence for at, sequence in self._due.values() if at <= now)
        messages = [self._stream.store.messages[sequence] for sequence in due]
        for message in messages:
            self._due.pop(message.subject, None)
            headers = dict(message.headers or {})
            source = headers.get(fields.SCHEDULE_SOURCE, "")
            last = self._stream.store.last_of(source) if source else 0
            content = self._stream.store.messages[last] if last else message
            fired = _fired(message.subject, headers, dict(content.headers or {}))
            self._store_fired(now, headers[fields.SCHEDULE_TARGET], fired, content.data)
        self._alarm.pace(now, self._next())


def _fired(subject: str, schedule: dict[str, str], content: dict[str, str]) -> dict[str, str]:
    """The headers of the message that the schedule on `subject` fires."""
    dropped = (fields.MESSAGE_ID, fields.TTL, fields.ROLLUP)
    headers = {
        name: value
        for name, value in content.items()
        if not name.startswith((fields.SCHEDULE, "Nats-Expected-")) and name not in dropped
    }
    headers[fields.SCHEDULER] = subject
    headers[fields.SCHEDULE_NEXT] = "purge"
    if ttl := schedule.get(fields.SCHEDULE_TTL):
        headers[fields.TTL] = ttl
    if rollup := schedule.get(fields.SCHEDULE_ROLLUP):
        headers[fields.ROLLUP] = rollup
    return headers


def check(
    headers: Headers, subject: str, stream: StreamState, is_schedule: dict[str, bool]
) -> Headers:
    """Judge the scheduling headers of a publish; returns the headers to store.

    `is_schedule` says of subjects that are being written what their last message will be.
    Raises `ServerRefused` as the server.
    """
    allowed = stream.config.allow_msg_schedules
    if fields.SCHEDULE in headers or fields.SCHEDULE_ZONE in headers:
        if not allowed and headers.get(fields.SCHEDULE):
            raise refused(10188)
        if _read(headers) is not None:
            headers = _check_schedule(headers, subject, stream)
    scheduler = headers.get(fields.SCHEDULER, "")
    following = headers.get(fields.SCHEDULE_NEXT, "")
    if not following:
        if scheduler:
            raise refused(10212)
        return headers
    if following != "purge" or scheduler == subject or not subjects.is_valid_literal(scheduler):
        raise refused(10212)
    if not allowed:
        raise refused(10188)
    if not is_schedule.get(scheduler, _is_schedule(stream.store, scheduler)):
        raise refused(10212)
    return headers


def _check_schedule(headers: Headers, subject: str, stream: StreamState) -> Headers:
    config = stream.config
    ttl = headers.get(fields.SCHEDULE_TTL, "")
    if ttl and fields.ttl_seconds(ttl) is None:
        raise refused(10191)
    if headers.get(fields.SCHEDULE_ROLLUP, "") not in ("", "sub"):
        raise refused(10192)
    if ttl and not config.allow_msg_ttl:
        raise refused(10166)
    target = headers.get(fields.SCHEDULE_TARGET, "")
    if not subjects.is_valid_literal(target) or target == subject:
        raise refused(10190)
    source = headers.get(fields.SCHEDULE_SOURCE, "")
    if source and (source in (target, subject) or not subjects.is_valid_literal(source)):
        raise refused(10203)
    if not any(subjects.collide(pattern, target) for pattern in config.subjects):
        raise refused(10190)
    if source and not any(subjects.collide(pattern, source) for pattern in config.subjects):
        raise refused(10203)
    rollup = headers.get(fields.ROLLUP, "").lower()
    if not rollup:
        return {**headers, fields.ROLLUP: "sub"}
    if rollup != "sub":
        raise refused(10192)
    return headers


def _is_schedule(store: MessageStore, subject: str) -> bool:
    """Whether the subject's last message is a schedule; also if there is none."""
    last = store.last_of(subject)
    headers = store.messages[last].headers if last else None
    return not last or bool(headers and headers.get(fields.SCHEDULE))
