"""P1: a command that the bus acknowledged ends as exactly one commit of its agent."""

from __future__ import annotations

from collections.abc import Iterator

from moonlet.simulations.checkers.checker import Evidence, Finding


def check_nothing_vanishes(world: Evidence) -> Iterator[Finding]:
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


def _parked(world: Evidence, agent: str, id: str) -> Iterator[Finding]:
    if (agent, id) not in world.chronicle.parked_commands:
        yield "P1 nothing vanishes", f"{id} of {agent} is parked and stands in no parked stream"
