"""P1 as it happens: an acknowledgement only reaches the server after the commit, and its effects.

An unacknowledged command is the marker of what may not be out (DESIGN §4); so whoever acknowledges
before the commit has landed, or before its sends stand in a stream, loses them at the next crash.
"""

from __future__ import annotations

from collections.abc import Callable

from moonlet.core.fold import call_id
from moonlet.simulations.chronicle import Chronicle


class Fenced:
    """Judges each acknowledgement of a command when it arrives at the server.

    `violate(promise, how)` takes what it finds.
    """

    def __init__(self, chronicle: Chronicle, violate: Callable[[str, str], None]) -> None:
        self._chronicle = chronicle
        self._violate = violate

    def acknowledged(self, stream: str, sequence: int) -> None:
        """The delivery of that message is acknowledged."""
        chronicle = self._chronicle
        key = chronicle.by_place.get((stream, sequence))
        if key is None:
            return
        agent, id = key
        history = chronicle.histories.get(agent)
        if history is None or id not in history.by_id:
            self._violate(
                "P1 nothing vanishes",
                f"{id} to {agent} ({stream}, sequence {sequence}) is acknowledged before it has a "
                f"commit",
            )
            return
        commit = history.commits[history.by_id[id] - 1]
        if commit.command.sequence != sequence:
            return  # a sender's retry is acknowledged, never dispatched
        for index, effect in enumerate(commit.effects):
            caused = call_id(agent, commit.revision, index)
            if effect.kind == "send" and not chronicle.is_out(effect.target, caused):
                self._violate(
                    "P3 exactly once",
                    f"{id} to {agent} is acknowledged before its effect {caused} is out",
                )
