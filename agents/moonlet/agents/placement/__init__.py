"""Which host should own which partitions, and when to look again."""

from moonlet.agents.placement.host_watch import HostWatch
from moonlet.agents.placement.shares import Move, Place, plan_moves

__all__ = ["HostWatch", "Move", "Place", "plan_moves"]
