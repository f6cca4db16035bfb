"""A view's snapshot on the server, for replicas that join when no other is there to ask.

The frames of a full delta stand under its hash, and `head` names them: it is written last, so that
what it names is whole. The one before is removed then; and those of older versions of the view, of
which the registry knows no replica any more.
"""

from hashlib import blake2b
from typing import Final

import msgspec

from moonlet.projections.errors import DeltaRefused
from moonlet.projections.exchange.delta import make_delta
from moonlet.projections.exchange.frames import Assembly, split
from moonlet.projections.exchange.roster import Roster
from moonlet.projections.exchange.transfer import MAX_FRAMES, Taken
from moonlet.projections.values import Mark
from moonlet.projections.view import View, ViewState, snapshot_subject, snapshot_subjects
from moonlet.streams import Bus, last_message, purge_subject, subject_counts

PUBLISH_SECONDS: Final = 5.0


class Head(msgspec.Struct, frozen=True, array_like=True):
    """Which frames make the snapshot, of which state, and how far it is."""

    identity: bytes
    hash: str
    frames: int
    vector: list[int]
    marks: list[tuple[int, str]]


async def store_snapshot(bus: Bus, state: ViewState) -> None:
    """Store the state as it is now. A crash in between leaves the snapshot before in force."""
    delta = make_delta(state)
    frames = split(delta)
    name = blake2b(delta, digest_size=16).hexdigest()
    head = Head(state.identity, name, len(frames), list(state.vector), list(state.marks))
    before = await read_head(bus, state)
    for number, frame in enumerate(frames):
        subject = snapshot_subject(bus, state.view, f"{name}.{number}")
        await bus.publish(subject, frame, timeout=PUBLISH_SECONDS)
    subject = snapshot_subject(bus, state.view, "head")
    await bus.publish(subject, _encode(head), timeout=PUBLISH_SECONDS)
    if before is not None and before.hash != name:
        old = snapshot_subject(bus, state.view, f"{before.hash}.*")
        await purge_subject(bus, bus.topology.stream("snapshots"), old)
    await _remove_older_versions(bus, state.view)


async def _remove_older_versions(bus: Bus, view: View) -> None:
    """A replica that is away guards the snapshot of its version until it is dismissed."""
    known = {entry.version for entry in await Roster(bus).replicas(view.name)}
    if not known:  # an empty registry says nothing
        return
    stream = bus.topology.stream("snapshots")
    heads = snapshot_subjects(bus, view, "*", "head")
    for subject in await subject_counts(bus, stream, heads):
        version = subject.split(".")[-2]
        if version.isdecimal() and int(version) < view.version and int(version) not in known:
            old = snapshot_subjects(bus, view, version, ">")
            await purge_subject(bus, stream, old)


async def read_head(bus: Bus, state: ViewState) -> Head | None:
    """The head of the view's snapshot; None if there is none that can be read."""
    stream = bus.topology.stream("snapshots")
    message = await last_message(bus, stream, snapshot_subject(bus, state.view, "head"))
    if message is None:
        return None
    try:
        head = _decode(message.data)
    except (msgspec.MsgspecError, ValueError):
        return None
    fits = 1 <= head.frames <= MAX_FRAMES and head.hash.isalnum()
    return head if fits and len(head.vector) == len(head.marks) == len(state.vector) else None


async def load_snapshot(bus: Bus, state: ViewState) -> Taken | None:
    """The snapshot, not yet joined; None if there is none of this very view, or it isn't whole."""
    head = await read_head(bus, state)
    if head is None or head.identity != state.identity:
        return None
    stream = bus.topology.stream("snapshots")
    assembly = Assembly()
    delta: bytes | None = None
    for number in range(head.frames):
        subject = snapshot_subject(bus, state.view, f"{head.hash}.{number}")
        message = await last_message(bus, stream, subject)
        if message is None:
            return None
        try:
            delta = assembly.add(message.data)
        except DeltaRefused:
            return None
    marks: tuple[Mark, ...] = tuple(head.marks)
    return None if delta is None else Taken(delta, marks)


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Head).decode
