"""The records of the bucket `leases`: living hosts, and partitions; whoever wrote them."""

from typing import Annotated, Final

import msgspec

from moonlet.core.codec import Codec
from moonlet.core.errors import InvalidId, InvalidMessage
from moonlet.core.ids import check_name
from moonlet.streams.buckets.kv import Entry
from moonlet.streams.buckets.odd_records import OddRecords


class HostLease(msgspec.Struct, frozen=True):
    """What a living host says of itself; `started` is in microseconds since 1970.

    `clock_off` is how many seconds its clock is ahead of the server's, if that is too much for it
    to take partitions that another host can have; else 0. `versions` are the application's, of
    those of its types that have one; `leaves` are types that it leaves to newer code.
    """

    host: str
    types: list[str]
    started: int
    clock_off: float = 0.0
    versions: dict[str, str] = {}
    leaves: list[str] = []


class Partition(msgspec.Struct, frozen=True):
    """A partition's record. `owner` is empty when it was left in good order.

    `crashes` counts owners in a row that did not; `note` is the command that a suspicious owner
    was about to decide, with " again" if the owner before noted it too.
    """

    type: str
    number: int
    owner: str = ""
    crashes: Annotated[int, msgspec.Meta(ge=0, le=2**31)] = 0
    note: str = ""
    revision: int = 0


LEASE: Final = Codec[HostLease](HostLease, "json")
PARTITION: Final = Codec[Partition](Partition, "json")


def read_lease(entry: Entry, odd: OddRecords) -> HostLease | None:
    """The lease that stands there; None, and named, if it is none of ours."""
    try:
        lease = LEASE.decode(entry.value)
        for type_ in lease.types:
            check_name(type_, "agent type")
        if entry.key != f"host.{check_name(lease.host, 'host')}":
            raise InvalidMessage(f"it says that it is the lease of {lease.host}")
    except (InvalidMessage, InvalidId) as error:
        odd.name(entry, error)
        return None
    return lease


def read_partition(entry: Entry, odd: OddRecords) -> Partition | None:
    """A partition's record, at its revision; None, and named, if the key is no partition's.

    One that can't be read is without owner: whoever should own it writes over it.
    """
    _, type_, number = entry.key.split(".") if entry.key.count(".") == 2 else ("", "", "")
    try:
        check_name(type_, "agent type")
        if not (number.isascii() and number.isdigit() and 0 < len(number) < 5):
            raise InvalidId(f"{number!r} is no partition's number")
    except InvalidId as error:
        odd.name(entry, error)
        return None
    record = Partition(type_, int(number))
    try:
        found = PARTITION.decode(entry.value)
        if (found.type, found.number) != (record.type, record.number):
            raise InvalidMessage(f"it says that it is {found.type}'s, {found.number}")
        record = found
    except InvalidMessage as error:
        odd.name(entry, error)
    return msgspec.structs.replace(record, revision=entry.revision)
