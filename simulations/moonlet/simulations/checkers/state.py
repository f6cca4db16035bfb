"""P2: what a host has in memory, and what snapshots hold, equals the fold of the journal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from moonlet.core.digest import state_digest
from moonlet.core.fold import Fold
from moonlet.core.memory import joined_windows, sent_by_agent
from moonlet.simulations.checkers.checker import Evidence, Finding


def check_state(world: Evidence) -> Iterator[Finding]:
    """Agents in memory whose state is not their journal's."""
    for name, process in world.hosts.items():
        if process.host is None or not process.node.up:
            continue
        for type_, number in process.host.partitions:
            partition = process.host.partition(type_, number)
            for agent in list(partition.agents.values()) if partition is not None else ():
                if agent.fold is not None:
                    yield from _compare(world, name, str(agent.id), agent.fold)


def check_snapshots(world: Evidence) -> Iterator[Finding]:
    """Snapshots that are stored and are not the fold of their commits."""
    for wrong in world.chronicle.wrong_snapshots():
        yield "P2 state is the fold", wrong


def _compare(world: Evidence, host: str, agent: str, live: Any) -> Iterator[Finding]:
    history = world.chronicle.histories.get(agent)
    revision = history.fold.revision if history is not None else 0
    if history is not None and live.revision == revision:
        folded = history.fold
        if live.digest != folded.digest or state_digest(live.state) != state_digest(folded.state):
            yield (
                "P2 state is the fold",
                f"{host} holds {agent} r{revision} as {live.state!r:.200}, its commits add up to "
                f"{folded.state!r:.200}",
            )
        elif not _same_windows(live, folded):
            yield "P2 state is the fold", f"{host}: {agent} r{revision} has other sender windows"
        elif list(live.ids) != list(folded.ids):
            yield "P2 state is the fold", f"{host}: {agent} r{revision} has other ids in memory"


def _same_windows(live: Fold[Any], folded: Fold[Any]) -> bool:
    """Whether the same senders are in memory, and none of them with a number that was not.

    What a client's window said before it left memory may be known to the folded one alone, until
    the client is heard again.
    """
    if list(live.windows.of) != list(folded.windows.of):
        return False
    for name, window in live.windows.of.items():
        all_known = not live.past.any or sent_by_agent(name[0]) or name in live.past.whole
        expected = folded.windows.of[name]
        found = window if all_known else joined_windows(window, expected)
        if found != expected:
            return False
    return True
