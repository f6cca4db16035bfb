"""Who lives, and who owns which partition. Leases say who is alive; compare-and-set keeps us safe.

A host renews one key with a time to live. A partition's record has none: it names its owner, and
whether that owner left in good order. The record's revision is the ownership's; it stands in the
names of the partition's consumers.
"""

from collections.abc import Callable
from typing import Annotated, Final

import msgspec

from moonlet.core.codec import Codec
from moonlet.core.errors import Conflict, Unavailable
from moonlet.streams.api import Subscription
from moonlet.streams.buckets.kv import Bucket
from moonlet.streams.bus import Bus

MAX_SIGN: Final = 1_024
"""Bytes of a sign of life; anything else that comes is taken for a call to look."""


class HostLease(msgspec.Struct, frozen=True):
    """What a living host says of itself; `started` is in microseconds since 1970."""

    host: str
    types: list[str]
    started: int


class Partition(msgspec.Struct, frozen=True):
    """A partition's record. `owner` is empty when it was left in good order.

    `crashes` counts owners in a row that did not; `note` is the command that a suspicious owner
    was about to decide, with " again" if the owner before noted it too.
    """

    type: str
    number: int
    owner: str = ""
    crashes: int = 0
    note: str = ""
    revision: int = 0


class SignOfLife(msgspec.Struct, frozen=True):
    """A host has just renewed its lease, of so many seconds."""

    host: str
    lease: Annotated[int, msgspec.Meta(ge=1, le=86_400)]


_HOST: Final = Codec[HostLease](HostLease, "json")
_PARTITION: Final = Codec[Partition](Partition, "json")
_SIGN: Final = msgspec.json.Decoder(SignOfLife)


class Leases:
    """The reader and writer of the bucket `leases`. `lease` is in whole seconds, from 1."""

    def __init__(self, bus: Bus, lease: int) -> None:
        assert lease >= 1
        self.lease = lease
        self._bus = bus
        self._subject = bus.subjects.hosts()
        self._bucket = Bucket(bus, bus.topology.bucket("leases"))

    async def listen(self, heard: Callable[[SignOfLife | None], None]) -> Subscription:
        """Call `heard` with each sign of life, and with None when there is something to see.

        Hints, over core NATS: lost, repeated or forged, they cost a look or half a lease.
        """
        return await self._bus.subscribe(self._subject, lambda told: heard(_read_sign(told.data)))

    def tell(self, host: str = "") -> None:
        """Say to all hosts that `host` has renewed, or, without one, that they should look.

        It comes to this one too, and is lost while there is no connection.
        """
        sign = msgspec.json.encode(SignOfLife(host, self.lease)) if host else b""
        try:
            self._bus.post(self._subject, sign)
        except Unavailable:
            pass  # they look anyway, a little later

    async def renew(self, host: HostLease, revision: int) -> int:
        """Write the host's lease over `revision` (0: a newcomer's); returns the new revision.

        Raises `Conflict` if the lease ran out or is another's.
        """
        value = _HOST.encode(host)
        timeout = max(1.0, self.lease / 2)
        return await self._bucket.put(
            f"host.{host.host}", value, revision=revision, ttl=self.lease, timeout=timeout
        )

    async def leave(self, host: str) -> None:
        """Remove the host's lease, so that nobody waits for it to run out."""
        await self._bucket.delete(f"host.{host}")

    async def look(self) -> tuple[list[HostLease], dict[tuple[str, int], Partition]]:
        """The living hosts, sorted by name, and all records by type and number, in one read."""
        hosts: list[HostLease] = []
        records: dict[tuple[str, int], Partition] = {}
        for entry in await self._bucket.entries():
            if entry.key.startswith("host."):
                hosts.append(_HOST.decode(entry.value))
            elif entry.key.startswith("part."):
                record = _PARTITION.decode(entry.value)
                records[record.type, record.number] = msgspec.structs.replace(
                    record, revision=entry.revision
                )
        return hosts, records

    async def hosts(self) -> list[HostLease]:
        """The living hosts, sorted by name."""
        return (await self.look())[0]

    async def partitions(self) -> dict[tuple[str, int], Partition]:
        """All records, by type and number."""
        return (await self.look())[1]

    async def write(self, record: Partition) -> Partition | None:
        """Write over the record's revision; None if another came first."""
        try:
            revision = await self._bucket.put(
                f"part.{record.type}.{record.number}",
                _PARTITION.encode(record),
                revision=record.revision,
            )
        except Conflict:
            return None
        return msgspec.structs.replace(record, revision=revision)


def _read_sign(data: bytes) -> SignOfLife | None:
    if not data or len(data) > MAX_SIGN:
        return None
    try:
        return _SIGN.decode(data)
    except msgspec.MsgspecError:
        return None
