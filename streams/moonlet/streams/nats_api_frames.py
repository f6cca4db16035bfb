"""Protocol frames and headers: how messages stand on the wire."""

import functools
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from moonlet.core.errors import InvalidId, InvalidMessage, PayloadTooLarge
from moonlet.streams.api import Headers

SUBJECT_BYTES_MAX = 2048  # the server closes the connection at a control line over 4,096 bytes

_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 7230 token


def check_subject(subject: str) -> None:
    """Refuse what would break the protocol line; wildcards and tokens are not looked at."""
    if subject.split() != [subject]:
        raise InvalidId(
            f"the subject {subject!r} is empty or has white space in it; "
            "subjects are tokens joined by dots"
        )
    if len(subject) > SUBJECT_BYTES_MAX // 2 and len(subject.encode()) > SUBJECT_BYTES_MAX:
        raise InvalidId(
            f"a subject of {len(subject)} characters is too long: "
            f"at most {SUBJECT_BYTES_MAX} bytes are allowed"
        )


def encode_publish(
    subject: str,
    reply: str,
    data: bytes,
    headers: Headers | None,
    max_payload: int,
    more: str = "",
) -> bytes:
    """The frame that publishes one message.

    `reply` may be empty; `more` are further header lines, each with its line end; neither is
    checked.
    """
    check_subject(subject)
    size = len(data)
    if headers or more:
        block = encode_headers(headers or {}, more)
        total = len(block) + size
        if total > max_payload:
            raise too_large(total, max_payload, subject)
        head = f"HPUB {subject} {reply} {len(block)} {total}\r\n".encode()
        return b"".join((head, block, data, b"\r\n"))
    if size > max_payload:
        raise too_large(size, max_payload, subject)
    return b"".join((f"PUB {subject} {reply} {size}\r\n".encode(), data, b"\r\n"))


def too_large(size: int, limit: int, subject: str) -> PayloadTooLarge:
    """The error for a message of `size` bytes."""
    return PayloadTooLarge(
        f"not sent: a message of {size} bytes, headers counted, is over the server's limit of "
        f"{limit} bytes ({subject}); send less, or raise max_payload on the server",
        limit=limit,
        value=size,
    )


def encode_headers(headers: Headers, more: str = "") -> bytes:
    """The header block; names are tokens, values any text without line breaks."""
    text = "NATS/1.0\r\n"
    for name, value in headers.items():
        if "\r" in value or "\n" in value:
            raise InvalidMessage(
                f"the value of the header {name} has a line break in it, which would begin another "
                "header; encode it",
                path=name,
            )
        text = f"{text}{_name_and_colon(name)}{value}\r\n"
    return f"{text}{more}\r\n".encode()


@functools.lru_cache(maxsize=1024)
def _name_and_colon(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise InvalidMessage(
            f"the header name {name!r} has a line break, a space or another character in it "
            "that header names can't have; use letters, digits and '-'",
            path=name,
        )
    return f"{name}: "


def decode_headers(raw: bytes) -> dict[str, str]:
    """A header block as a dict; an inline status becomes `Status` and `Description`."""
    text = raw.decode("utf-8", "replace")
    lines = text.split("\r\n")
    headers: dict[str, str] = {}
    first = lines[0]
    if len(first) > 9:  # "NATS/1.0 404 No Messages"
        headers["Status"] = first[9:12]
        if len(first) > 13:
            headers["Description"] = first[13:]
    if "  " not in text and " \r\n" not in text and "\t" not in text:
        try:  # as nearly everyone writes them, which is read in half the time
            headers.update([line.split(": ", 1) for line in lines[1:-2]])  # type: ignore[misc]
            return headers
        except ValueError:
            pass
    for line in lines[1:-2]:
        name, _, value = line.partition(":")
        headers[name] = value.strip()
    return headers


class RawHeaders(Mapping[str, str]):
    """Headers as they came, decoded when one is asked for that seems to be there."""

    __slots__ = ("_decoded", "_raw")

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._decoded: dict[str, str] | None = None

    def _dict(self) -> dict[str, str]:
        if self._decoded is None:
            self._decoded = decode_headers(self._raw)
        return self._decoded

    def get(self, name: Any, default: Any = None) -> Any:
        """The value of a header: what is asked for is nearly always not there."""
        if self._decoded is None and name.encode() not in self._raw:
            return default
        return self._dict().get(name, default)

    def __contains__(self, name: object) -> bool:
        return self.get(name) is not None

    def __getitem__(self, name: str) -> str:
        return self._dict()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._dict())

    def __len__(self) -> int:
        return len(self._dict())

    def __repr__(self) -> str:
        return repr(self._dict())


def status_code(raw: bytes | None) -> int:
    """The code of an inline status, 0 if there is none."""
    if raw is None or raw[8:9] != b" ":
        return 0
    code = raw[9:12]
    return int(code) if code.isdigit() else 0


def decode_time(text: str) -> int:
    """Nanoseconds since 1970 of the server's RFC 3339 times, which are UTC."""
    seconds = _decode_second(text[:19])
    fraction = text[20:-1] if text[19] == "." else ""
    return seconds * 1_000_000_000 + int(fraction.ljust(9, "0") or 0)


@functools.lru_cache(maxsize=256)
def _decode_second(text: str) -> int:
    return int(datetime.fromisoformat(text + "+00:00").timestamp())


def encode_time(nanoseconds: int) -> str:
    """The RFC 3339 time, UTC, that `decode_time` reads."""
    seconds, fraction = divmod(nanoseconds, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{fraction:09d}Z"
