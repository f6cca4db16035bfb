"""Histories are whole: what was durable when one was asked for is in it, in order.

Where a server that is the leader no longer answered as one, what their readers had seen is in them.
"""

from __future__ import annotations

from collections.abc import Callable

from moonlet.simulations.chronicle import Chronicle


class Reads:
    """Judges each history that a client of the world reads to its end.

    `misled` says whether an old leader answered in this world; `violate(promise, how)` takes what
    is found.
    """

    def __init__(
        self,
        chronicle: Chronicle,
        misled: Callable[[], bool],
        violate: Callable[[str, str], None],
    ) -> None:
        self._chronicle = chronicle
        self._misled = misled
        self._violate = violate

    def begins(self, agent: str, seen: int) -> tuple[int, int]:
        """A history is asked for: how many commits the agent has, and up to sequence `seen`."""
        self._chronicle.look()
        history = self._chronicle.histories.get(agent)
        commits = [] if history is None else history.commits
        return len(commits), sum(commit.sequence <= seen for commit in commits)

    def came(self, agent: str, expected: int, revision: int) -> None:
        """A commit of it came."""
        if revision != expected:
            what = f"a history of {agent} goes on with revision {revision}, not {expected}"
            self._violate("reads are whole", what)

    def ended(self, agent: str, last: int, had: tuple[int, int], to: int | None) -> None:
        """It ended behind revision `last`, `to` at most, and began when there was what it `had`."""
        wanted = min(had[self._misled()], self.begins(agent, 0)[0])  # a power loss takes some away
        wanted = wanted if to is None else min(wanted, to)
        if last < wanted:
            what = f"a history of {agent} ends at revision {last}, and should go to {wanted}"
            self._violate("reads are whole", what)
