"""Owning a partition: its agents, the feeds that bring them work, and care after a crash."""

from moonlet.agents.owner.owned_partition import OwnedPartition
from moonlet.agents.owner.scrubber import Scrubber
from moonlet.agents.owner.slot import Slot

__all__ = ["OwnedPartition", "Scrubber", "Slot"]
