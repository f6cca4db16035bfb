"""Histories are whole: what was durable when one was asked for is in it, in order."""

from __future__ import annotations

from collections.abc import Callable

from moonlet.simulations.chronicle import Chronicle


class Reads:
    """Judges each history that a client of the world reads to its end.

    `violate(promise, how)` takes what it finds.
    """

    def __init__(self, chronicle: Chronicle, violate: Callable[[str, str], None]) -> None:
        self._chronicle = chronicle
        self._violate = violate

    def begins(self, agent: str) -> int:
        """A history is asked for; how many commits the agent has."""
        self._chronicle.look()
        history = self._chronicle.histories.get(agent)
        return 0 if history is None else len(history.commits)

    def came(self, agent: str, expected: int, revision: int) -> None:
        """A commit of it came."""
        if revision != expected:
            what = f"a history of {agent} goes on with revision {revision}, not {expected}"
            self._violate("reads are whole", what)

    def ended(self, agent: str, last: int, wanted: int) -> None:
        """It ended behind revision `last`; it should go to `wanted` at least."""
        wanted = min(wanted, self.begins(agent))  # a power loss takes commits away
        if last < wanted:
            what = f"a history of {agent} ends at revision {last}, and {wanted} was durable before"
            self._violate("reads are whole", what)
