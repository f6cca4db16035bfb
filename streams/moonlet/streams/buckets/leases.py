"""Who lives, and who owns which partition. Leases say who is alive; compare-and-set keeps us safe.

A host renews one key with a time to live. A partition's record has none: it names its owner, and
whether that owner left in good order. The record's revision is the ownership's; it stands in the
names of the partition's consumers.

A host lives while its renewals are seen, not because its lease stands there: a server that was
stopped and killed at the wrong moments revives a lease that had run out, and never ends it (its log
says "TTL state is outdated"). So whoever reads leases goes by a clock of its own.
"""

import asyncio
from collections.abc import Callable
from typing import Annotated, Final, NamedTuple

import msgspec

from moonlet.core.errors import Conflict, Unavailable
from moonlet.core.marks import reached
from moonlet.streams.api import Subscription
from moonlet.streams.buckets.kv import Bucket, Entry
from moonlet.streams.buckets.lease_records import (
    LEASE,
    PARTITION,
    HostLease,
    Partition,
    read_lease,
    read_partition,
)
from moonlet.streams.buckets.odd_records import OddRecords
from moonlet.streams.bus import Bus
from moonlet.streams.reading import stream_facts

SECOND: Final = 10**9

MAX_SIGN: Final = 1_024
"""Bytes of a sign of life; anything else that comes is taken for a call to look."""


WATCH_SECONDS: Final = 0.5
"""Between two looks at a lease that should have run out."""

WATCH_MAX: Final = 10.0
"""Seconds after which whoever looks but once takes such a lease for over."""


class SignOfLife(msgspec.Struct, frozen=True):
    """A host has just renewed its lease, of so many seconds."""

    host: str
    lease: Annotated[int, msgspec.Meta(ge=1, le=86_400)]


_SIGN: Final = msgspec.json.Decoder(SignOfLife)


class _Sight(NamedTuple):
    """A lease's revision, and since when it is seen, by our monotonic clock.

    `renewed`: it was seen to change, so somebody lives who changed it.
    """

    revision: int
    since: float
    renewed: bool


class Leases:
    """The reader and writer of the bucket `leases`. `lease` is in whole seconds, from 1.

    It remembers what it saw of others' leases: one whose revision does not change for as long as it
    was written for is over, whether it stands there or not.
    """

    def __init__(self, bus: Bus, lease: int) -> None:
        assert lease >= 1
        self.lease = lease
        self._bus = bus
        self._subject = bus.subjects.hosts()
        self._stream = bus.topology.bucket("leases")
        self._bucket = Bucket(bus, self._stream)
        self.odd = OddRecords(self._stream)
        self._standing: list[Entry] = []
        self._sights: dict[str, _Sight] = {}

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
        value = LEASE.encode(host)
        timeout = max(1.0, self.lease / 2)
        return await self._bucket.put(
            f"host.{host.host}", value, revision=revision, ttl=self.lease, timeout=timeout
        )

    async def revision(self, host: str) -> int:
        """The revision of the host's lease, read from the leader; 0 if it has none."""
        entry = await self._bucket.get(f"host.{host}")
        return 0 if entry is None else entry.revision

    async def leave(self, host: str) -> None:
        """End the host's lease, so that nobody waits for it to run out.

        By a write, which a replica that lags can't hide as it would hide a deletion.
        """
        await self._bucket.put(f"host.{host}", b"", ttl=self.lease)

    async def look(self) -> tuple[list[HostLease], dict[tuple[str, int], Partition]]:
        """The living hosts, sorted by name, and all records by type and number, in one read.

        A lease that is seen for the first time is given its whole time.
        """
        entries = await self._bucket.written()
        self._see([entry for entry in entries if entry.key.startswith("host.")])
        standing = [entry for entry in self._standing if self._left(entry) > 0]
        hosts = [lease for entry in standing if (lease := read_lease(entry, self.odd))]
        records: dict[tuple[str, int], Partition] = {}
        for entry in entries:
            if entry.key.startswith("part."):
                record = read_partition(entry, self.odd)
                if record is not None:
                    records[record.type, record.number] = record
        return hosts, records

    def stored(self, host: str) -> Entry | None:
        """The host's lease as the last look has seen it."""
        return next((entry for entry in self._standing if entry.key == f"host.{host}"), None)

    async def hosts(self) -> list[HostLease]:
        """The living hosts, sorted by name, for who looks but once.

        A lease that should have run out by the server's own clock is watched, for 10 s at most,
        whether it is renewed.
        """
        until = self._bus.clock.monotonic() + WATCH_MAX
        while True:
            hosts, _ = await self.look()
            doubtful = await self._doubtful()
            if not doubtful or self._bus.clock.monotonic() >= until:
                return [host for host in hosts if f"host.{host.host}" not in doubtful]
            await asyncio.sleep(min(WATCH_SECONDS, self.lease / 2))

    async def end_overdue(self) -> list[str]:
        """End leases that have stood for twice their time without a renewal; returns whose."""
        ended = []
        for entry in self._standing:
            if self._left(entry) > -self._ttl(entry):
                continue
            reached("a lease stands that should have run out")
            try:
                await self._bucket.put(entry.key, b"", revision=entry.revision, ttl=self.lease)
            except Conflict:
                continue  # it was renewed, or another host ended it
            ended.append(entry.key.removeprefix("host."))
        return ended

    def _see(self, standing: list[Entry]) -> None:
        """Note which leases stand, and which of them have changed since the last look."""
        now = self._bus.clock.monotonic()
        seen: dict[str, _Sight] = {}
        for entry in standing:
            known = self._sights.get(entry.key)
            if known is None or known.revision != entry.revision:
                known = _Sight(entry.revision, now, known is not None)
            seen[entry.key] = known
        self._standing, self._sights = standing, seen

    def _ttl(self, entry: Entry) -> int:
        return entry.ttl or self.lease

    def _left(self, entry: Entry) -> float:
        """How many seconds the lease has left, unless it is renewed."""
        since = self._sights[entry.key].since
        return since + self._ttl(entry) - self._bus.clock.monotonic()

    async def _doubtful(self) -> set[str]:
        """Leases that nobody was seen to renew, and that should have run out by now."""
        unproved = [
            entry
            for entry in self._standing
            if not self._sights[entry.key].renewed and self._left(entry) > 0
        ]
        facts = await stream_facts(self._bus, self._stream) if unproved else None
        if facts is None:
            return set()
        return {
            entry.key
            for entry in unproved
            if not 0 <= facts.time - entry.time <= self._ttl(entry) * SECOND
        }

    async def partitions(self) -> dict[tuple[str, int], Partition]:
        """All records, by type and number."""
        return (await self.look())[1]

    async def write(self, record: Partition) -> Partition | None:
        """Write over the record's revision; None if another came first."""
        try:
            revision = await self._bucket.put(
                f"part.{record.type}.{record.number}",
                PARTITION.encode(record),
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
