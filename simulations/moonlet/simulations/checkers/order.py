"""P4: within a lane an agent commits in the order of its mailbox, and a sender's numbers in theirs.

An agent sends its numbers one after the other, so they must rise. A client may have several on
their way at once: for its commands the order is that in which the mailbox took them first.
"""

from __future__ import annotations

from collections.abc import Iterator

from moonlet.core.memory import sent_by_agent
from moonlet.simulations.checkers.checker import Evidence, Finding
from moonlet.simulations.chronicle import History


def check_order(world: Evidence) -> Iterator[Finding]:
    """Commands that overtook others of their lane."""
    for history in world.chronicle.histories.values():
        yield from _mailbox_order(world, history)
        yield from _numbers(history)


def _mailbox_order(world: Evidence, history: History) -> Iterator[Finding]:
    last: dict[tuple[str, str], tuple[int, str]] = {}
    for commit in history.commits:
        command = world.chronicle.commands.get((history.agent, commit.command.id))
        if command is None:
            continue  # a timer's firing, or a call's result read elsewhere
        lane = command.stream, commit.command.lane
        before, id = last.get(lane, (0, ""))
        # Of a history that was imported, the first copy may have been acknowledged before.
        sequence = min(command.sequence, commit.command.sequence)
        if sequence < before:
            yield (
                "P4 order",
                f"{history.agent} committed {commit.command.id} (mailbox {sequence}) after "
                f"{id} (mailbox {before}) of the same lane",
            )
        last[lane] = max((before, id), (sequence, commit.command.id))


def _numbers(history: History) -> Iterator[Finding]:
    last: dict[tuple[str, str], int] = {}
    for commit in history.commits:
        command = commit.command
        if command.timer or command.call or not sent_by_agent(command.sender):
            continue
        sender = command.sender, command.lane
        if command.number <= last.get(sender, 0):
            yield (
                "P4 order",
                f"{history.agent} committed number {command.number} of {command.sender} after "
                f"{last[sender]}",
            )
        last[sender] = command.number
