"""Key-value buckets: leases, partitions, registered types."""

from moonlet.streams.buckets.blocked import Blocked, BlockedMarks
from moonlet.streams.buckets.kv import Bucket, Entry
from moonlet.streams.buckets.leases import HostLease, Leases, Partition, SignOfLife
from moonlet.streams.buckets.registry import Registry, decode_home

__all__ = [
    "Blocked",
    "BlockedMarks",
    "Bucket",
    "Entry",
    "HostLease",
    "Leases",
    "Partition",
    "Registry",
    "SignOfLife",
    "decode_home",
]
