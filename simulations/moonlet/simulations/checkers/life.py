"""Nothing died unseen, no agent broke, and nobody is idle over work that waits."""

from __future__ import annotations

from collections.abc import Iterator

from moonlet.simulations.checkers.checker import Evidence, Finding


def check_life(world: Evidence) -> Iterator[Finding]:
    """Background tasks that died, and agents that stopped by themselves."""
    for name, process in world.hosts.items():
        host = process.host
        if host is None or not process.node.up:
            continue
        if host.failure is not None:
            yield "a task died", f"{name}: {type(host.failure).__name__}: {host.failure}"
        for type_, number in host.partitions:
            partition = host.partition(type_, number)
            for agent in list(partition.agents.values()) if partition is not None else ():
                if agent.error is not None:
                    yield "an agent broke", f"{name}: {agent.id}: {agent.error}"
