"""Bringing an agent's state back from its journal, and the snapshots that make it short."""

from moonlet.agents.recovery.open_timers import assert_timers
from moonlet.agents.recovery.past_keeper import PastKeeper
from moonlet.agents.recovery.recoveries import Recoveries
from moonlet.agents.recovery.snapshot_policy import SnapshotPolicy
from moonlet.agents.recovery.tail import Recovered

__all__ = ["PastKeeper", "Recovered", "Recoveries", "SnapshotPolicy", "assert_timers"]
