"""A commit's time is after that of the commit before it, whatever the clocks of the hosts say."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from moonlet.simulations.checkers.checker import Evidence, Finding


def check_time(world: Evidence) -> Iterator[Finding]:
    """Commits that are older than the one before."""
    for history in world.chronicle.histories.values():
        for before, commit in pairwise(history.commits):
            if commit.time <= before.time:
                yield (
                    "time grows",
                    f"{history.agent} r{commit.revision} has the time {commit.time}, and the "
                    f"commit before it {before.time}",
                )
