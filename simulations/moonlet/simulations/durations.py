"""Lengths of virtual time as people write them: `"600ms"`, `"1.5s"`, `"-40s"`, `"2h"`."""

import re
from typing import Final

from moonlet.core.errors import InvalidSettings

Duration = str | int | float
"""Text with a unit (us, ms, s, m, h), or a number of seconds."""

_UNITS: Final = {"us": 1_000, "ms": 1_000_000, "s": 10**9, "m": 60 * 10**9, "h": 3_600 * 10**9}
_TEXT: Final = re.compile(r"([+-]?\d+(?:\.\d+)?)(us|ms|s|m|h)")


def nanoseconds(duration: Duration) -> int:
    """The duration in nanoseconds; raises `InvalidSettings` for what is none."""
    if not isinstance(duration, str):
        return round(duration * 10**9)
    found = _TEXT.fullmatch(duration.strip())
    if found is None:
        raise InvalidSettings(
            f"{duration!r} is no duration: write a number and a unit (us, ms, s, m, h), as '1.5s'"
        )
    return round(float(found[1]) * _UNITS[found[2]])


def shown(ns: int) -> str:
    """The shortest way to write so many nanoseconds, to the microsecond."""
    for unit, size in (("s", 10**9), ("ms", 1_000_000)):
        if abs(ns) >= size or unit == "ms":
            return f"{ns / size:.3f}".rstrip("0").rstrip(".") + unit
    raise AssertionError(ns)
