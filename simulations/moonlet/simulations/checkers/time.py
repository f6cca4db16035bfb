"""A commit's time is after that of the commit before it, whatever the clocks of the hosts say."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

from moonlet.simulations.checkers.checker import Finding

if TYPE_CHECKING:
    from moonlet.simulations.world.world import World


def check_time(world: World) -> Iterator[Finding]:
    """Commits that are older than the one before."""
    for history in world.chronicle.histories.values():
        for before, commit in pairwise(history.commits):
            if commit.time <= before.time:
                yield (
                    "time grows",
                    f"{history.agent} r{commit.revision} has the time {commit.time}, and the "
                    f"commit before it {before.time}",
                )
