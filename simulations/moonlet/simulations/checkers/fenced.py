"""P1 as it happens: an acknowledgement only reaches the server after the commit, and its effects.

An unacknowledged command is the marker of what may not be out (DESIGN §4); so whoever acknowledges
before the commit has landed, or before its sends stand in a stream, loses them at the next crash.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from moonlet.core.fold import call_id

if TYPE_CHECKING:
    from moonlet.simulations.world.world import World


class Fenced:
    """Judges each acknowledgement of a command when it arrives at the server."""

    def __init__(self, world: World) -> None:
        self._world = world

    def acknowledged(self, stream: str, sequence: int) -> None:
        """The delivery of that message is acknowledged."""
        world = self._world
        chronicle = world.chronicle
        key = chronicle.by_place.get((stream, sequence))
        if key is None:
            return
        agent, id = key
        history = chronicle.histories.get(agent)
        if history is None or id not in history.by_id:
            world.violate(
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
                world.violate(
                    "P3 exactly once",
                    f"{id} to {agent} is acknowledged before its effect {caused} is out",
                )
