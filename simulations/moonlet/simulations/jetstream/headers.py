"""Message headers as the server reads them, and how it reads times and numbers."""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

from moonlet.streams.api import Headers

TIMES_KEPT: Final = 4_096
"""Times whose text is remembered: the same message is read over and over."""

MESSAGE_ID: Final = "Nats-Msg-Id"
EXPECTED_STREAM: Final = "Nats-Expected-Stream"
EXPECTED_ID: Final = "Nats-Expected-Last-Msg-Id"
EXPECTED_LAST: Final = "Nats-Expected-Last-Sequence"
EXPECTED_SUBJECT: Final = "Nats-Expected-Last-Subject-Sequence"
EXPECTED_SUBJECT_OF: Final = "Nats-Expected-Last-Subject-Sequence-Subject"
TTL: Final = "Nats-TTL"
ROLLUP: Final = "Nats-Rollup"
INCREMENT: Final = "Nats-Incr"
SOURCE: Final = "Nats-Stream-Source"
REQUIRED_LEVEL: Final = "Nats-Required-Api-Level"
TRACE: Final = "Nats-Trace-Dest"
BATCH_ID: Final = "Nats-Batch-Id"
BATCH_SEQUENCE: Final = "Nats-Batch-Sequence"
BATCH_COMMIT: Final = "Nats-Batch-Commit"
SCHEDULE: Final = "Nats-Schedule"
SCHEDULE_TARGET: Final = "Nats-Schedule-Target"
SCHEDULE_SOURCE: Final = "Nats-Schedule-Source"
SCHEDULE_TTL: Final = "Nats-Schedule-TTL"
SCHEDULE_ROLLUP: Final = "Nats-Schedule-Rollup"
SCHEDULE_ZONE: Final = "Nats-Schedule-Time-Zone"
SCHEDULE_NEXT: Final = "Nats-Schedule-Next"
SCHEDULER: Final = "Nats-Scheduler"

# What a stream looks for beyond the message id and the expectation of a subject's last sequence.
RARE: Final = frozenset(
    (
        EXPECTED_STREAM,
        EXPECTED_ID,
        EXPECTED_LAST,
        EXPECTED_SUBJECT_OF,
        TTL,
        ROLLUP,
        INCREMENT,
        SOURCE,
        REQUIRED_LEVEL,
        TRACE,
        SCHEDULE,
        SCHEDULE_ZONE,
        SCHEDULE_NEXT,
        SCHEDULER,
    )
)

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
NEVER: Final = -1  # a TTL that never ends
SECOND: Final = 1_000_000_000

_UNITS: Final = {
    "ns": 1,
    "us": 1_000,
    "\u00b5s": 1_000,
    "\u03bcs": 1_000,
    "ms": 1_000_000,
    "s": SECOND,
    "m": 60 * SECOND,
    "h": 3600 * SECOND,
}
_PART: Final = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|\u00b5s|\u03bcs|ms|s|m|h)")
_RFC3339: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9})\d*)?(Z|[+-]\d\d:\d\d)"
)


def size(headers: Headers | None) -> int:
    """The length of the headers as they travel, in bytes."""
    if not headers:
        return 0
    text = "".join(headers) + "".join(headers.values())
    length = len(text) if text.isascii() else len(text.encode())
    return 12 + 4 * len(headers) + length


def number(text: str) -> int:
    """The number that decimal digits spell; -1 for anything else."""
    return int(text) if text.isascii() and text.isdigit() else -1


def duration(text: str) -> int | None:
    """A Go duration such as `1h30m` or `250ms` in nanoseconds; None if it isn't one."""
    sign, rest = (-1, text[1:]) if text[:1] == "-" else (1, text.removeprefix("+"))
    if rest == "0":
        return 0
    total, position = 0, 0
    for part in _PART.finditer(rest):
        if part.start() != position:
            return None
        whole, _, fraction = part[1].partition(".")
        unit = _UNITS[part[2]]
        total += int(whole or "0") * unit
        if fraction:
            total += int(fraction) * unit // 10 ** len(fraction)
        position = part.end()
    return sign * total if rest and position == len(rest) else None


def ttl_seconds(text: str) -> int | None:
    """A `Nats-TTL` in whole seconds, `NEVER`, or None if it is invalid. Below 1 s it is invalid."""
    if text.lower() == "never":
        return NEVER
    length = duration(text)
    if length is not None:
        return length // SECOND if length >= SECOND else None
    seconds = number(text)
    return None if seconds < 0 else seconds


@lru_cache(TIMES_KEPT)
def rfc3339(time: int) -> str:
    """Nanoseconds since 1970 as the server writes them: no trailing zeros, UTC."""
    seconds, nanoseconds = divmod(time, SECOND)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    if nanoseconds:
        text += "." + f"{nanoseconds:09d}".rstrip("0")
    return text + "Z"


@lru_cache(TIMES_KEPT)
def from_rfc3339(text: str) -> int | None:
    """The nanoseconds since 1970 of an RFC 3339 time; None if it isn't one."""
    found = _RFC3339.fullmatch(text)
    if found is None:
        return None
    zone: str = found[8]
    try:
        moment = datetime.fromisoformat(text[:19]).replace(tzinfo=UTC)
    except ValueError:
        return None
    time: int = (moment - _EPOCH) // timedelta(seconds=1) * SECOND
    time += int((found[7] or "").ljust(9, "0"))
    if zone != "Z":
        offset = (int(zone[1:3]) * 60 + int(zone[4:6])) * 60 * SECOND
        time -= offset if zone[0] == "+" else -offset
    return time


def encode(headers: Headers) -> bytes:
    """The headers as they travel."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"NATS/1.0\r\n{lines}\r\n".encode()


def decode(data: bytes) -> dict[str, str]:
    """Headers from how they travel."""
    lines = data.decode().split("\r\n")[1:]
    pairs = (line.partition(":") for line in lines if line)
    return {name: value.strip() for name, _, value in pairs}
