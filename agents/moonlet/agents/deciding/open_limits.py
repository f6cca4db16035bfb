"""How many timers and calls an agent may have open."""

from typing import Final

import msgspec

from moonlet.core.commit import Effect
from moonlet.core.errors import LimitExceeded

OPEN_MAX: Final = 256
"""Timers, and calls, that one agent may have open."""


def over_limits(
    effects: list[Effect[msgspec.Raw]], timers: int, calls: int
) -> LimitExceeded | None:
    """What to say when these effects, beside what is open, are more than an agent may have open."""
    for kind, what, opened in (("schedule", "timers", timers), ("perform", "calls", calls)):
        asked = sum(effect.kind == kind for effect in effects)
        if asked and opened + asked > OPEN_MAX:
            return LimitExceeded(
                f"over {OPEN_MAX} open {what} of one agent: cancel some, or spread the work over"
                " more agents",
                limit=OPEN_MAX,
                value=opened + asked,
            )
    return None
