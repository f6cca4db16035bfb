"""How many timers and calls an agent may have open."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from moonlet.agents.definition import AgentType
from moonlet.core.behavior import Decision, parked
from moonlet.core.commit import Commit, Effect
from moonlet.core.errors import Invalid, LimitExceeded
from moonlet.core.fold import Fold

OPEN_MAX: Final = 256
"""Timers, and calls, that one agent may have open."""


def within_limits(
    agent_type: AgentType[Any],
    fold: Fold[Any],
    ahead: Sequence[Commit[Any]],
    decision: Decision[Any],
    state: Any,
) -> Decision[Any]:
    """Park what would leave more timers or calls open than an agent may have, or a call to nobody.

    `ahead` are the commits that come before it and are not in the fold.
    """
    effects = [effect for commit in ahead for effect in commit.effects]
    for effect in decision.effects:
        call = effect.message if effect.kind == "perform" else None
        if call is not None and call.name not in agent_type.performs:
            nobody = f"Perform({call.name}) was yielded, and no on_perform takes it: add one"
            return parked(state, Invalid(nobody))
    error = over_limits([*effects, *decision.effects], len(fold.timers), len(fold.calls))
    return decision if error is None else parked(state, error)


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
