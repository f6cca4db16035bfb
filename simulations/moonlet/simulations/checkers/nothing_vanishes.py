"""P1: a command that the bus acknowledged ends as exactly one commit of its agent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from moonlet.simulations.checkers.checker import Finding

if TYPE_CHECKING:
    from moonlet.simulations.world.world import World


def check_nothing_vanishes(world: World) -> Iterator[Finding]:
    """Acknowledged commands without a commit, or with several."""
    for command in world.chronicle.undone.values():
        if world.chronicle.is_stopped(command.agent):
            continue
        yield (
            "P1 nothing vanishes",
            f"{command.id} to {command.agent} was acknowledged ({command.stream}, sequence "
            f"{command.sequence}) and has no commit",
        )
    for history in world.chronicle.histories.values():
        for commit in history.commits:
            if commit.outcome == "parked":
                yield from _parked(world, history.agent, commit.command.id)


def _parked(world: World, agent: str, id: str) -> Iterator[Finding]:
    if (agent, id) not in world.chronicle.parked_commands:
        yield "P1 nothing vanishes", f"{id} of {agent} is parked and stands in no parked stream"
