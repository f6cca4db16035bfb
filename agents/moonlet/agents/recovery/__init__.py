"""Bringing an agent's state back from its journal, and the snapshots that make it short."""

from moonlet.agents.recovery.open_timers import assert_timers
from moonlet.agents.recovery.recover import Recovered, recover
from moonlet.agents.recovery.snapshot_policy import SnapshotPolicy

__all__ = ["Recovered", "SnapshotPolicy", "assert_timers", "recover"]
