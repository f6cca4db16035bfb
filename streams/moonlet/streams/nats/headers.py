"""Headers and times as the server writes them."""

import functools
from datetime import UTC, datetime


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
