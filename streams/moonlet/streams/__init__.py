"""JetStream, and nobody else speaks NATS: what agents and projections may use of it."""

from moonlet.streams.api import (
    Delivery,
    Disconnected,
    JetStream,
    Message,
    NoAnswer,
    NoResponders,
    PubAck,
    PullStatus,
    ServerRefused,
    StoredMessage,
    StreamGone,
    Subscription,
)
from moonlet.streams.blobs import store_apart, with_record
from moonlet.streams.bus import Bus
from moonlet.streams.codes import STREAM_NOT_FOUND, is_conflict, is_full, is_unknown
from moonlet.streams.embedded import Embedded
from moonlet.streams.embedded import attach as attach_embedded
from moonlet.streams.embedded import erase as erase_embedded
from moonlet.streams.embedded import open as open_embedded
from moonlet.streams.found_topology import find_topology
from moonlet.streams.group_commit import EXPECTED_LAST, GroupCommit, encode_commit
from moonlet.streams.inspection import (
    Foreign,
    Offset,
    clock_offset,
    foreign_commands,
    foreign_commits,
    foreign_subjects,
    may_publish,
    storage_used,
)
from moonlet.streams.journal import Journal, decode_commit, decode_plain_commit
from moonlet.streams.kv import Bucket, Entry
from moonlet.streams.leases import HostLease, Leases, Partition, SignOfLife
from moonlet.streams.messages import (
    MESSAGE_ID,
    OWNER_CONTROL,
    OWNER_OUTCOME,
    OWNER_QUERY,
    Answer,
    Mailboxes,
    Question,
    answer_of,
    conflict_answer,
    decode_answer,
    decode_envelope,
    decode_question,
    encode_answer,
    encode_envelope,
    encode_question,
    explain_refusal,
    post_answer,
    post_outcome,
    same_command,
)
from moonlet.streams.opening import open_bus
from moonlet.streams.parked import ParkedStream
from moonlet.streams.reading import (
    Consumer,
    HistoryReader,
    owned_queue,
    read_messages,
    shared_queue,
)
from moonlet.streams.registry import Registry, decode_home
from moonlet.streams.settings import Settings
from moonlet.streams.settings import resolve as resolve_settings
from moonlet.streams.snapshots import Snapshot, Snapshots, restore_snapshot, take_snapshot
from moonlet.streams.stream_facts import (
    StreamFacts,
    last_message,
    next_message,
    purge_subject,
    read_page,
    server_facts,
    stored_message,
    stream_facts,
    stream_names,
    subject_counts,
)
from moonlet.streams.subjects import Home, Subjects
from moonlet.streams.sync_mode import SyncMode, sync_mode
from moonlet.streams.system import SystemClock, SystemEntropy
from moonlet.streams.temporary import TemporaryServer
from moonlet.streams.timers import Timers
from moonlet.streams.topology import Topology
from moonlet.streams.topology_plan import apply_topology, plan_topology

__all__ = [
    "EXPECTED_LAST",
    "MESSAGE_ID",
    "OWNER_CONTROL",
    "OWNER_OUTCOME",
    "OWNER_QUERY",
    "STREAM_NOT_FOUND",
    "Answer",
    "Bucket",
    "Bus",
    "Consumer",
    "Delivery",
    "Disconnected",
    "Embedded",
    "Entry",
    "Foreign",
    "GroupCommit",
    "HistoryReader",
    "Home",
    "HostLease",
    "JetStream",
    "Journal",
    "Leases",
    "Mailboxes",
    "Message",
    "NoAnswer",
    "NoResponders",
    "Offset",
    "ParkedStream",
    "Partition",
    "PubAck",
    "PullStatus",
    "Question",
    "Registry",
    "ServerRefused",
    "Settings",
    "SignOfLife",
    "Snapshot",
    "Snapshots",
    "StoredMessage",
    "StreamFacts",
    "StreamGone",
    "Subjects",
    "Subscription",
    "SyncMode",
    "SystemClock",
    "SystemEntropy",
    "TemporaryServer",
    "Timers",
    "Topology",
    "answer_of",
    "apply_topology",
    "attach_embedded",
    "clock_offset",
    "conflict_answer",
    "decode_answer",
    "decode_commit",
    "decode_envelope",
    "decode_home",
    "decode_plain_commit",
    "decode_question",
    "encode_answer",
    "encode_commit",
    "encode_envelope",
    "encode_question",
    "erase_embedded",
    "explain_refusal",
    "find_topology",
    "foreign_commands",
    "foreign_commits",
    "foreign_subjects",
    "is_conflict",
    "is_full",
    "is_unknown",
    "last_message",
    "may_publish",
    "next_message",
    "open_bus",
    "open_embedded",
    "owned_queue",
    "plan_topology",
    "post_answer",
    "post_outcome",
    "purge_subject",
    "read_messages",
    "read_page",
    "resolve_settings",
    "restore_snapshot",
    "same_command",
    "server_facts",
    "shared_queue",
    "storage_used",
    "store_apart",
    "stored_message",
    "stream_facts",
    "stream_names",
    "subject_counts",
    "sync_mode",
    "take_snapshot",
    "with_record",
]
