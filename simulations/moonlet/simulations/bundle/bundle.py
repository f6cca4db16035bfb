"""A bundle: the history of a real server as one file, from which worlds can start.

The file is a line, `moonlet bundle 1 <BLAKE2b of the rest>`, and behind it gzipped MessagePack. It
holds what a server's data folder would: journals, waiting commands, calls and results, timers,
snapshots, outcomes that stand apart, what was parked, the registry, who owned which partition. It
leaves out consumers and hosts' leases (a world's hosts make their own), topics, and views, which
are folded from journals. It may come from anywhere: all of it is checked before it is used.
"""

import gzip
import os
import zlib
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

import msgspec

from moonlet.core.errors import Corrupt, InvalidSettings, LimitExceeded, MoonletError
from moonlet.streams import StoredMessage, Topology

VERSION: Final = 1
MAGIC: Final = b"moonlet bundle "
DIGEST_BYTES: Final = 32
LINE_MAX: Final = 128

PACKED_MAX: Final = 2**29
"""Bytes of a file."""

PLAIN_MAX: Final = 2**31
"""Bytes of what is packed in it: it is all in memory, in every process that makes worlds of it."""

QUEUES: Final = ("mailboxes", "internal", "timers")
LOGS: Final = ("snapshots", "parked", "outcomes")
BUCKETS: Final = ("registry", "leases")

_INT_MAX: Final = 2**62
_SUBJECT_MAX: Final = 1_024
_STREAMS_MAX: Final = 1_024


class Held(msgspec.Struct, frozen=True):
    """One stream: its configuration as the server's JSON, `created` and times in ns since 1970.

    `first` and `last` are the server's bounds; messages are in order of their sequence.
    """

    name: str
    config: dict[str, Any]
    created: int
    first: int
    last: int
    messages: list[StoredMessage]


class Bundle(msgspec.Struct, frozen=True):
    """All of one server that a world needs, as it stood at `taken` (ns since 1970, its clock)."""

    taken: int
    server: str
    topology: Topology
    streams: list[Held]

    def stream(self, name: str) -> Held | None:
        """The stream of that name; None if the server had none."""
        return next((held for held in self.streams if held.name == name), None)

    @property
    def messages(self) -> int:
        """Messages in all streams."""
        return sum(len(held.messages) for held in self.streams)


_decode: Final = msgspec.msgpack.Decoder(Bundle).decode


def names_of(topology: Topology) -> list[str]:
    """The streams that a bundle may hold: those of agents, without topics."""
    return [
        *topology.journal_streams,
        *(topology.stream(name) for name in (*QUEUES, *LOGS)),
        *(topology.bucket(name) for name in BUCKETS),
    ]


def write_bundle(path: Path, bundle: Bundle) -> str:
    """Write the file, whole or not at all, for its owner's eyes; returns its digest.

    Raises `LimitExceeded` if it gets too large, `OSError`.
    """
    packed = gzip.compress(msgspec.msgpack.encode(bundle), compresslevel=6, mtime=0)
    _bound(len(packed), PACKED_MAX, "bytes packed")
    digest = blake2b(packed, digest_size=DIGEST_BYTES).hexdigest()
    beside = path.with_name(f"{path.name}.part")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(MAGIC + f"{VERSION} {digest}\n".encode())
        file.write(packed)
    beside.replace(path)
    return digest


def read_bundle(path: Path) -> tuple[Bundle, str]:
    """The bundle and its digest. Raises `InvalidSettings` for a file that is none or of tomorrow.

    And `Corrupt` for one that was changed, cut short, or contradicts itself; `LimitExceeded`.
    """
    try:
        _bound(path.stat().st_size, PACKED_MAX + LINE_MAX, "bytes in a file")
        data = path.read_bytes()
    except OSError as error:
        raise InvalidSettings(f"{path}: {error.strerror}: take one: moonlet sim import") from None
    line, _, packed = data[:LINE_MAX].partition(b"\n")
    fields = line.removeprefix(MAGIC).split(b" ")
    if not line.startswith(MAGIC) or len(fields) != 2 or not fields[0].isdigit():
        raise InvalidSettings(f"{path} is no bundle: take one with `moonlet sim import`")
    if int(fields[0]) != VERSION:
        raise InvalidSettings(
            f"{path} has version {int(fields[0])}, this code reads {VERSION}: take it again"
        )
    packed = data[len(line) + 1 :]
    digest = blake2b(packed, digest_size=DIGEST_BYTES).hexdigest()
    if digest.encode() != fields[1]:
        raise Corrupt(f"{path} was changed or cut short: its digest is another; take it again")
    try:
        bundle = _decode(_unpacked(packed))
    except (msgspec.MsgspecError, zlib.error, MoonletError, RecursionError) as error:
        if isinstance(error, LimitExceeded):
            raise
        raise Corrupt(f"{path} can't be read: {error}; take it again") from None
    check_bundle(bundle)
    return bundle, digest


def check_bundle(bundle: Bundle) -> None:
    """Raise `Corrupt` for what no server could have held."""
    topology = bundle.topology
    known = set(names_of(topology))
    names = [held.name for held in bundle.streams]
    if len(names) > _STREAMS_MAX or len(set(names)) != len(names) or not known >= set(names):
        raise Corrupt("the bundle holds streams that its topology does not have")
    missing = set(topology.journal_streams) - set(names)
    if missing:
        raise Corrupt(f"the bundle has no {', '.join(sorted(missing))}")
    if not (0 < bundle.taken < _INT_MAX and topology.mailbox > 0 and topology.internal > 0):
        raise Corrupt("the bundle has a time or a limit that is none")
    wanted = {config["name"]: config for config in topology.configs()}
    for held in bundle.streams:
        _check_stream(held, wanted[held.name]["subjects"], bundle.taken)


def _check_stream(held: Held, subjects: list[str], taken: int) -> None:
    def wrong(what: str, sequence: int = 0) -> Corrupt:
        place = f" at sequence {sequence}" if sequence else ""
        return Corrupt(f"{held.name}{place}: {what}", stream=held.name, sequence=sequence)

    if sorted(held.config.get("subjects") or []) != sorted(subjects):
        raise wrong("its subjects are not those of the topology")
    if not (0 < held.created < _INT_MAX and 0 <= held.first <= held.last + 1 < _INT_MAX):
        raise wrong("its bounds or its time of creation can't be")
    heads = tuple(subject.rstrip(">*") for subject in subjects)
    before = held.first - 1
    for message in held.messages:
        sequence = message.sequence
        if not before < sequence <= held.last:
            raise wrong(f"a message stands behind {before}, out of order or bounds", sequence)
        if not 0 <= message.time <= taken:
            raise wrong("a message is younger than the bundle", sequence)
        subject = message.subject
        if len(subject) > _SUBJECT_MAX or not subject.startswith(heads) or not _literal(subject):
            raise wrong("a message has a subject that is none of the stream's", sequence)
        before = sequence


def _literal(subject: str) -> bool:
    tokens = subject.split(".")
    return all(tokens) and subject.isprintable() and not {"*", ">"} & set(tokens)


def _unpacked(packed: bytes) -> bytes:
    """What was gzipped, up to the limit; raises `zlib.error`, `LimitExceeded`."""
    unpacker = zlib.decompressobj(wbits=31)
    plain = unpacker.decompress(packed, PLAIN_MAX)
    _bound(len(plain) + bool(unpacker.unconsumed_tail), PLAIN_MAX, "bytes unpacked")
    if not unpacker.eof or unpacker.unused_data:
        raise zlib.error("its end is missing, or something follows it")
    return plain


def _bound(value: int, limit: int, what: str) -> None:
    if value > limit:
        raise LimitExceeded(
            f"a bundle has at most {limit:,} {what}; this one has more: take a smaller server's",
            limit=limit,
            value=value,
        )
