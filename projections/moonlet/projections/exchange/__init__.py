"""What replicas hand each other: deltas in frames, heartbeats, snapshots, the registry of replicas.

The forms and the handing over alone; who asks whom, and when, is decided in `replica`.
"""

from moonlet.projections.exchange.delta import apply_delta, make_delta
from moonlet.projections.exchange.heartbeat import (
    Heartbeat,
    differs,
    make_heartbeat,
    read_heartbeat,
)
from moonlet.projections.exchange.roster import Enrolled, Roster
from moonlet.projections.exchange.snapshot import load_snapshot, read_head, store_snapshot
from moonlet.projections.exchange.transfer import Giver, take

__all__ = [
    "Enrolled",
    "Giver",
    "Heartbeat",
    "Roster",
    "apply_delta",
    "differs",
    "load_snapshot",
    "make_delta",
    "make_heartbeat",
    "read_head",
    "read_heartbeat",
    "store_snapshot",
    "take",
]
