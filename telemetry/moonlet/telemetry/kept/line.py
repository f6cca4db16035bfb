"""A line of a log, as it is kept and found again."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from moonlet.telemetry.loggers import LEVELS

VALUE_MAX: Final = 16_384
"""Characters of one fact that are kept; the rest is cut, and that is said."""

FACTS_MAX: Final = 64
"""Facts of a line that are kept."""

ITEMS_MAX: Final = 100
"""Items of a list or mapping among its facts."""

DEPTH_MAX: Final = 4

CONTEXT: Final = ("agent", "revision", "command", "correlation", "host", "trace")
"""Facts with a place of their own: what lines are asked for by."""

NAMES: Final = {number: name for name, number in LEVELS.items()}

MARGIN: Final = 512
"""Characters beyond a cut that are looked at for secrets, lest half of one is left."""


class LogLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was logged. `time` is in microseconds since 1970, UTC; `id` names it in its store.

    `facts` are all that have no field of their own. `store` names the folder that it lies in.
    """

    id: str
    time: int
    level: str
    module: str
    event: str
    agent: str = ""
    revision: int = 0
    command: str = ""
    correlation: str = ""
    host: str = ""
    trace: str = ""
    facts: dict[str, Any] = {}
    store: str = ""


def level_name(number: int) -> str:
    """`warning` for 30; a number between two levels has the lower one's name."""
    name = NAMES.get(number)
    if name is None:
        name = next((NAMES[n] for n in sorted(NAMES, reverse=True) if n <= number), "debug")
    return name


def level_tag(number: int) -> str:
    """How a level stands in the index; debug does not: nobody asks for that alone."""
    return f"lv{min(number // 10, 5)}" if number >= 20 else ""


def module_tag(name: str) -> str:
    """How a module stands in the index: one word, that what is below it begins with too."""
    return "m0" + "".join([c if c.isalnum() else "0" for c in name]) + "0"


def plain(value: Any, depth: int = 0) -> Any:
    """Plain data of a fact, taken while the line is written, since what it is of may change."""
    if isinstance(value, str):
        return value if len(value) <= VALUE_MAX else value[: VALUE_MAX + MARGIN]
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**63 else str(value)[:VALUE_MAX]
    if depth < DEPTH_MAX:
        if isinstance(value, Mapping):
            items = list(value.items())[:ITEMS_MAX]
            return {str(name)[:VALUE_MAX]: plain(found, depth + 1) for name, found in items}
        if isinstance(value, list | tuple):
            return [plain(found, depth + 1) for found in value[:ITEMS_MAX]]
    try:
        text = str(value) if isinstance(value, BaseException) else repr(value)
    except Exception as error:  # a mistake of whoever wrote the class
        text = f"<{type(value).__name__} without a repr: {type(error).__name__}>"
    return text[: VALUE_MAX + MARGIN]


def shortened(value: Any) -> Any:
    """A text of at most `VALUE_MAX` characters, with how many were cut."""
    if isinstance(value, str) and len(value) > VALUE_MAX:
        return f"{value[:VALUE_MAX]}… (cut)"
    return value
