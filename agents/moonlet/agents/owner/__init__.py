"""Owning a partition: its agents, the queues that feed them, and care after a crash."""

from moonlet.agents.owner.owned_partition import OwnedPartition

__all__ = ["OwnedPartition"]
