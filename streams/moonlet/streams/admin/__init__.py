"""Streams as operators see them: planned, found, looked into."""

from moonlet.streams.admin.found_topology import find_topology
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
from moonlet.streams.admin.topology_plan import apply_topology, plan_topology, restore_queue

__all__ = [
    "Foreign",
    "Offset",
    "SyncMode",
    "apply_topology",
    "clock_offset",
    "find_topology",
    "foreign_commands",
    "foreign_commits",
    "foreign_subjects",
    "may_publish",
    "plan_topology",
    "restore_queue",
    "storage_used",
    "sync_mode",
]
