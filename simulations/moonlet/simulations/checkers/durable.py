"""P6: what hosts and clients were told is stored is stored: nobody knows more than the journals."""

from __future__ import annotations

from collections.abc import Iterator

from moonlet.simulations.checkers.checker import Evidence, Finding


def check_durable(world: Evidence) -> Iterator[Finding]:
    """Agents in memory that are ahead of their journal: an acknowledged commit is gone."""
    for name, process in world.hosts.items():
        if process.host is None or not process.node.up:
            continue
        for type_, number in process.host.partitions:
            partition = process.host.partition(type_, number)
            for agent in list(partition.agents.values()) if partition is not None else ():
                history = world.chronicle.histories.get(str(agent.id))
                revision = history.fold.revision if history is not None else 0
                if agent.fold is not None and agent.fold.revision > revision:
                    yield (
                        "P6 durable",
                        f"{name} holds {agent.id} at revision {agent.fold.revision}, the journal"
                        f" ends at {revision}",
                    )
