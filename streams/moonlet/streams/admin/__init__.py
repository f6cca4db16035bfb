"""Streams as operators see them: planned, found, looked into."""

from moonlet.streams.admin.fsync import SyncMode, sync_mode
from moonlet.streams.admin.inspection import (
    Foreign,
    Offset,
    clock_offset,
    foreign_commands,
    foreign_commits,
    foreign_subjects,
    may_publish,
    storage_used,
)
from moonlet.streams.admin.load import ServerLoad, server_load
from moonlet.streams.admin.replication import Replication, replication_of
from moonlet.streams.admin.restoring import restore_streams
from moonlet.streams.admin.topology_plan import Step, plan_topology, refuse_moves
from moonlet.streams.admin.topology_record import (
    apply_topology,
    joined,
    settle_topology,
    standing_topology,
    stored_topology,
)

__all__ = [
    "Foreign",
    "Offset",
    "Replication",
    "ServerLoad",
    "Step",
    "SyncMode",
    "apply_topology",
    "clock_offset",
    "foreign_commands",
    "foreign_commits",
    "foreign_subjects",
    "joined",
    "may_publish",
    "plan_topology",
    "refuse_moves",
    "replication_of",
    "restore_streams",
    "server_load",
    "settle_topology",
    "standing_topology",
    "storage_used",
    "stored_topology",
    "sync_mode",
]
