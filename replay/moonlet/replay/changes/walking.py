"""Along one history: each commit with the plain state before and after it."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import msgspec

from moonlet.core.commit import Commit
from moonlet.replay.states import Timeline, plain_state
from moonlet.streams import decode_plain_commit


class Walked(msgspec.Struct, frozen=True):
    """A commit, bodies plain, and the states around it; the same object if nothing changed."""

    commit: Commit[Any]
    before: Any
    after: Any


async def walk(
    timeline: Timeline, start: int = 0, end: int | None = None
) -> AsyncGenerator[Walked, None]:
    """All commits behind revision `start` up to `end`, or the last; without what repairs leave out.

    Raises `Undecodable` and `Corrupt` where the history can't be folded on, `Unavailable`.
    """
    state = plain = None
    passed = timeline.behind(start, timeline.last if end is None else end)
    async with aclosing(passed):
        async for message, before, after in passed:
            if plain is None or before is not state:
                state, plain = before, plain_state(before)
            old = plain
            if after is not state:
                state, plain = after, plain_state(after)
            yield Walked(decode_plain_commit(timeline.stream, message), old, plain)
