"""Snapshots: an agent's fold at one revision, so that recovery reads only what came after.

A snapshot is never trusted alone: it names the journal's incarnation, and the sequence and digest
of its last commit, which recovery reads again. One that does not fit is ignored.
"""

import asyncio
from typing import Any, Final, TypeVar

import msgspec

from moonlet.core.codec import Codec
from moonlet.core.errors import InvalidMessage, MoonletError
from moonlet.core.fold import Fold, Seen, Where
from moonlet.core.hlc import Timestamp
from moonlet.core.ids import AgentId
from moonlet.core.windows import Windows
from moonlet.streams.api import PubAck
from moonlet.streams.bus import Bus

S = TypeVar("S")

FORMAT: Final = 1
"""Raised when a snapshot's fields change; others are ignored, and recovery replays all."""


class Snapshot(msgspec.Struct, frozen=True, gc=False):
    """A fold as stored (MessagePack). `code` tells the shape of the state's class."""

    format: int
    incarnation: str
    agent: str
    revision: int
    sequence: int
    digest: str
    time: Timestamp
    code: str
    state: bytes
    windows: list[tuple[str, int, str]]
    ids: dict[str, Seen]
    timers: dict[str, Where]
    calls: dict[str, Where]


_CODEC: Final = Codec[Snapshot](Snapshot, "msgpack")


def take_snapshot(
    fold: Fold[Any], agent: AgentId, *, state: bytes, incarnation: str, code: str
) -> Snapshot:
    """The snapshot of a fold whose effects are all out."""
    return Snapshot(
        FORMAT,
        incarnation,
        str(agent),
        fold.revision,
        fold.sequence,
        fold.digest,
        fold.time,
        code,
        state,
        fold.windows.dump(),
        dict(fold.ids),
        dict(fold.timers),
        dict(fold.calls),
    )


def restore_snapshot(snapshot: Snapshot, state: S) -> Fold[S]:
    """The fold that `take_snapshot` saw; effects up to its revision were out."""
    fold = Fold(state)
    fold.revision = snapshot.revision
    fold.sequence = snapshot.sequence
    fold.digest = snapshot.digest
    fold.dispatched = snapshot.revision
    fold.time = snapshot.time
    fold.windows = Windows.load(snapshot.windows)
    fold.ids = dict(snapshot.ids)
    fold.timers = dict(snapshot.timers)
    fold.calls = dict(snapshot.calls)
    return fold


class Snapshots:
    """The snapshot stream: one message an agent, the last."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._stream = bus.topology.stream("snapshots")

    async def load(self, agent: AgentId) -> Snapshot | None:
        """The agent's last snapshot; None if there is none, or it can't be read."""
        message = await self._bus._js.last_message(self._stream, self._bus.subjects.snapshot(agent))
        if message is None:
            return None
        try:
            snapshot = _CODEC.decode(message.data)
        except InvalidMessage:
            return None
        return snapshot if snapshot.format == FORMAT and snapshot.agent == str(agent) else None

    def store(self, agent: AgentId, snapshot: Snapshot) -> "asyncio.Future[PubAck] | None":
        """Write in the background; None if it is too large to be stored. Loss does no harm."""
        data = _CODEC.encode(snapshot)
        if len(data) > self._bus.max_payload - 1_024:
            return None
        try:
            return self._bus.publish(
                self._bus.subjects.snapshot(agent), data, headers=None, timeout=5.0
            )
        except MoonletError:
            return None
