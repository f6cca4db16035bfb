"""Paths in plain data: `$.positions[0].amount`, as errors and remarks write them too."""

import re
from typing import Any, Final

from moonlet.core.errors import Invalid

Path = tuple[str | int, ...]
"""Keys of objects and indexes of lists, from the root."""

PATH_MAX: Final = 1_024
"""Characters of a path as it is written."""

_KEY: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_PART: Final = re.compile(
    r"""\.?([A-Za-z0-9_][A-Za-z0-9_/-]*)|\[(\d{1,9})\]|\["((?:[^"\\]|\\.)*)"\]"""
)


def parse_path(text: str) -> Path:
    """Read `$.a.b[0]`, `a.b[0]`, `$["any key"]`; the root is `$`. Raises `Invalid`."""
    rest = text.removeprefix("$") if len(text) <= PATH_MAX else "("
    parts: list[str | int] = []
    at = 0
    while at < len(rest):
        found = _PART.match(rest, at)
        if found is None:
            raise Invalid(
                f"{text[:80]!r} is no path in a state: write it like positions.BTC.amount,"
                ' items[0], or ["a key with spaces"]'
            )
        key, index, quoted = found.groups()
        if index is not None:
            parts.append(int(index))
        else:
            parts.append(key if key is not None else re.sub(r"\\(.)", r"\1", quoted))
        at = found.end()
    return tuple(parts)


def show(path: Path) -> str:
    """The path as text, which `parse_path` reads back."""
    text = "$"
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif _KEY.fullmatch(part):
            text += f".{part}"
        else:
            escaped = part.replace("\\", "\\\\").replace('"', '\\"')
            text += f'["{escaped}"]'
    return text


NOTHING: Final = object()
"""What stands at a path that is not there."""


def inside(data: Any, path: Path) -> Any:
    """What stands there; `NOTHING` if the path ends earlier."""
    for part in path:
        if isinstance(data, dict):
            data = data.get(part if part in data else str(part), NOTHING)
        elif isinstance(data, list) and isinstance(part, int) and part < len(data):
            data = data[part]
        else:
            return NOTHING
    return data
