"""The journal: commits appended by compare-and-set and read in order; snapshots."""

from moonlet.streams.journal.group_commit import EXPECTED_LAST, GroupCommit, encode_commit
from moonlet.streams.journal.journal import Journal, decode_commit, decode_plain_commit
from moonlet.streams.journal.marks import (
    JournalMarks,
    Mark,
    accept_loss,
    fault_of,
    mark_of,
    reached_by,
)
from moonlet.streams.journal.pasts import Pasts
from moonlet.streams.journal.repairs import Skips, skips_behind, skips_named, skips_of
from moonlet.streams.journal.snapshots import (
    Snapshot,
    Snapshots,
    decode_snapshot,
    restore_snapshot,
    take_snapshot,
)

__all__ = [
    "EXPECTED_LAST",
    "GroupCommit",
    "Journal",
    "JournalMarks",
    "Mark",
    "Pasts",
    "Skips",
    "Snapshot",
    "Snapshots",
    "accept_loss",
    "decode_commit",
    "decode_plain_commit",
    "decode_snapshot",
    "encode_commit",
    "fault_of",
    "mark_of",
    "reached_by",
    "restore_snapshot",
    "skips_behind",
    "skips_named",
    "skips_of",
    "take_snapshot",
]
