"""A finding of `doctor`: what one check saw, how bad that is, and what to do about it."""

from typing import Literal

import msgspec

Level = Literal["OK", "WARN", "FAIL"]


class Finding(msgspec.Struct, frozen=True):
    """What one check found; `fix` says what to do unless it is OK."""

    check: str
    level: Level
    message: str
    fix: str = ""
