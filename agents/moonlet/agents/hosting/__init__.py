"""A host: it holds a lease, owns its share of partitions, and runs their agents."""

from moonlet.agents.hosting.host import Host

__all__ = ["Host"]
