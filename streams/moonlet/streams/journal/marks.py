"""High-water marks: how far each journal is known to go, written outside of it.

A journal that was deleted and made anew, or restored from an older state, can't show that itself.
So hosts write into the bucket `config` what they saw: which stream of its name it was, and its last
commit. One that is behind its mark is `Corrupt`, until an operator raises the epoch in its metadata
(`accept_loss`). Where the bucket is gone too, snapshots bear witness: each names the commit that it
was taken at.
"""

import re
from collections.abc import Iterable
from typing import Final

import msgspec

from moonlet.core.codec import Codec
from moonlet.core.digest import DIGEST_HEADER
from moonlet.core.errors import Conflict, InvalidMessage
from moonlet.streams.api import ServerRefused, StoredMessage
from moonlet.streams.buckets import Bucket
from moonlet.streams.bus import Bus
from moonlet.streams.codes import is_missing
from moonlet.streams.journal.snapshots import decode_snapshot
from moonlet.streams.reading import StreamFacts, stored_message, stream_facts

EPOCH: Final = "moonlet.epoch"
"""The metadata in which an operator says that a loss is accepted: a whole number, from 0."""

WITNESSES: Final = 20
"""Snapshots, the last, that are looked at where no mark stands."""


class Mark(msgspec.Struct, frozen=True, order=True):
    """What a journal had reached. `created` is the server's time of its making, as it says it.

    `digest` is that of the commit at `sequence`; empty if it was not read. Of two marks of one
    journal the later is the larger.
    """

    epoch: int
    sequence: int
    created: str
    digest: str = ""

    @property
    def incarnation(self) -> str:
        """The journal's, as snapshots and views know it."""
        return f"{self.created}/{self.epoch}"


_CODEC: Final = Codec[Mark](Mark, "json")


def mark_of(facts: StreamFacts, sequence: int, digest: str = "") -> Mark:
    """A mark of the journal that these facts are of."""
    created, _, epoch = facts.incarnation.rpartition("/")
    return Mark(_number(epoch), sequence, created, digest)


def _number(epoch: str) -> int:
    return int(epoch) if re.fullmatch(r"[0-9]{1,9}", epoch) else 0


async def reached_by(bus: Bus, stream: str, sequence: int) -> Mark | None:
    """The mark of a journal as it stands, at `sequence` or its end if that is before; None: gone.

    Read from the leader.
    """
    facts = await stream_facts(bus, stream)
    if facts is None:
        return None
    sequence = min(sequence, facts.last)
    stored = await stored_message(bus, stream, sequence) if sequence else None
    return mark_of(facts, sequence, _digest(stored))


def _digest(stored: StoredMessage | None) -> str:
    return (stored.headers or {}).get(DIGEST_HEADER, "") if stored is not None else ""


async def fault_of(bus: Bus, facts: StreamFacts, mark: Mark) -> str:
    """Why a journal is not what its mark says; empty if it is, or the loss was accepted."""
    now = mark_of(facts, facts.last)
    if now.epoch > mark.epoch:
        return ""
    if now.epoch < mark.epoch:
        return f"its epoch is {now.epoch}, and was {mark.epoch}: it was restored from an older one"
    if now.created != mark.created:
        return (
            f"it was made at {now.created}, but the journal that was here, of {mark.sequence}"
            f" commits, at {mark.created}: that was deleted, and another made in its place"
        )
    if facts.last < mark.sequence:
        return (
            f"it ends at {facts.last}, but {mark.sequence} was acknowledged: it was restored from"
            " an older state"
        )
    if mark.digest:
        stored = await stored_message(bus, facts.name, mark.sequence)
        if _digest(stored) != mark.digest:
            return (
                f"the commit at sequence {mark.sequence} is another than was acknowledged: it was"
                " restored from an older state, and written to since"
            )
    return ""


class JournalMarks:
    """The reader and writer of the marks of all journals."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._bucket = Bucket(bus, bus.topology.bucket("config"))

    async def read(self, stream: str) -> Mark | None:
        """The mark of a journal; None if none stands, or it can't be read."""
        return (await self._read(stream))[0]

    async def _read(self, stream: str) -> tuple[Mark | None, int]:
        try:
            entry = await self._bucket.get(f"mark.{stream}")
        except ServerRefused as error:
            if not is_missing(error):
                raise
            entry = None
        if entry is None:
            return None, 0
        try:
            return _CODEC.decode(entry.value), entry.revision
        except InvalidMessage:
            return None, entry.revision

    async def raise_to(self, stream: str, mark: Mark) -> Mark | None:
        """Write a mark unless a larger one stands; returns what stood before.

        Of two writers at once one tries again later.
        """
        standing, revision = await self._read(stream)
        if standing is None or mark > standing:
            try:
                await self._bucket.put(f"mark.{stream}", _CODEC.encode(mark), revision=revision)
            except Conflict:
                pass  # another host's is there; ours comes with the next
        return standing

    async def witnessed(self, stream: str, types: Iterable[str]) -> Mark | None:
        """The largest mark that snapshots of these agent types give; None if there are none."""
        snapshots = self._bus.topology.stream("snapshots")
        facts = await stream_facts(self._bus, snapshots)
        if facts is None or not facts.messages:
            return None
        found: list[Mark] = []
        for type_ in types:
            subject = f"{self._bus.subjects.prefix}.snap.{type_}.*"
            newest = await self._bus._js.last_message(snapshots, subject)
            start = max(1, facts.last - WITNESSES)
            while newest is not None and len(found) < WITNESSES:
                start = min(start, newest.sequence)  # others' may have been stored since
                message = await self._bus._js.next_message(snapshots, subject, start=start)
                if message is None:
                    break
                start = message.sequence + 1
                if message.sequence >= newest.sequence:
                    newest = None
                snapshot = decode_snapshot(message.data)
                if snapshot is not None:
                    created, _, epoch = snapshot.incarnation.rpartition("/")
                    mark = Mark(_number(epoch), snapshot.sequence, created, snapshot.digest)
                    found.append(mark)
        return max(found, default=None)


async def accept_loss(bus: Bus, stream: str) -> Mark:
    """Take a journal as it stands, empty if it is gone: its epoch is raised above its mark's.

    An operator's: what its agents had beyond it is lost for good. Returns the new mark. Raises
    `Unavailable`, `InvalidSettings`.
    """
    marks = JournalMarks(bus)
    before = await marks.read(stream)
    facts = await stream_facts(bus, stream)
    epoch = 1 + max(
        before.epoch if before is not None else 0,
        mark_of(facts, 0).epoch if facts is not None else 0,
    )
    config = facts.config if facts is not None else bus.topology.config_of(stream)
    metadata = {**(config.get("metadata") or {}), EPOCH: str(epoch)}
    if facts is None:
        await bus._js.create_stream({**config, "metadata": metadata})
    else:
        await bus._js.update_stream({**config, "metadata": metadata})
    now = await stream_facts(bus, stream)
    assert now is not None
    mark = await reached_by(bus, stream, now.last) or mark_of(now, now.last)
    await marks.raise_to(stream, mark)
    return mark
