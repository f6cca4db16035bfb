"""Key-value buckets: leases, partitions, registered types."""

from moonlet.streams.buckets.blocked import Blocked, BlockedMarks
from moonlet.streams.buckets.kv import Bucket, Entry
from moonlet.streams.buckets.lease_records import HostLease, Partition
from moonlet.streams.buckets.leases import Leases, SignOfLife
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
