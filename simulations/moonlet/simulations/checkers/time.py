"""A commit's time is after that of the commit before it, whatever the clocks of the hosts say.

And it is the server's time: a host whose clock is hours off drags none along.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from moonlet.simulations.checkers.checker import Evidence, Finding


def check_time(world: Evidence) -> Iterator[Finding]:
    """Commits that are older than the one before, or of a time that hasn't come yet."""
    for history in world.chronicle.histories.values():
        for what in history.ahead:
            yield "time is the server's", f"{history.agent} {what} of the server's clock"
        for before, commit in pairwise(history.commits):
            if commit.time <= before.time:
                yield (
                    "time grows",
                    f"{history.agent} r{commit.revision} has the time {commit.time}, and the "
                    f"commit before it {before.time}",
                )
