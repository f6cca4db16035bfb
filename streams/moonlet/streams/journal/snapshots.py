"""Snapshots: an agent's fold at one revision, so that recovery reads only what came after.

A snapshot is never trusted alone: it names the journal's incarnation, and the sequence and digest
of its last commit, which recovery reads again. One that does not fit is ignored.
"""

import asyncio
from typing import Any, Final, TypeVar

import msgspec

from moonlet.core import fold as folds
from moonlet.core.codec import Codec
from moonlet.core.errors import InvalidMessage, MoonletError
from moonlet.core.fold import Fold, Seen, Where
from moonlet.core.hlc import Timestamp
from moonlet.core.ids import AgentId
from moonlet.core.memory import Fact, Windows, windows
from moonlet.streams.api import PubAck
from moonlet.streams.bus import Bus

S = TypeVar("S")

FORMAT: Final = 2
"""Of a fold that forgot nothing, but knows what left its memory. Hosts before it ignore these."""

FORMAT_BEFORE: Final = 1
"""Of a fold from whose memory nothing has left: hosts of before understand that too."""


class Snapshot(msgspec.Struct, frozen=True, gc=False):
    """A fold as stored (MessagePack). `code` tells the shape of the state's class.

    `fresh` left its memory and is in no run; what commits up to revision `past` pushed out before
    is stored in runs, without which this says too little.
    """

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
    fresh: dict[bytes, Fact] = {}
    past: int = 0

    @property
    def knows_all(self) -> bool:
        """Whether nothing was forgotten: hosts of before did, when memory was full."""
        if self.format == FORMAT_BEFORE:
            return len(self.windows) < windows.SENDERS and len(self.ids) < folds.IDS
        return self.format == FORMAT


class Dispatched(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """All effects up to this commit, an agent's last when it came to rest, are out."""

    revision: int
    digest: str


_CODEC: Final = Codec[Snapshot](Snapshot, "msgpack")
_DISPATCHED: Final = Codec[Dispatched](Dispatched, "msgpack")


def take_snapshot(
    fold: Fold[Any], agent: AgentId, *, state: bytes, incarnation: str, code: str
) -> Snapshot:
    """The snapshot of a fold whose effects are all out, and of whose past no run is unstored."""
    past = fold.past
    assert not past.held
    full = len(fold.windows) >= windows.SENDERS or len(fold.ids) >= folds.IDS
    return Snapshot(
        FORMAT if past.any or full else FORMAT_BEFORE,
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
        dict(past.fresh),
        past.stored.revision,
    )


def restore_snapshot(snapshot: Snapshot, state: S) -> Fold[S]:
    """The fold that `take_snapshot` saw, its stored runs apart; effects up to it were out."""
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
    if snapshot.fresh or snapshot.past:
        past = fold.own_past()
        past.fresh = dict(snapshot.fresh)
        past.any = True
    return fold


def decode_snapshot(data: bytes) -> Snapshot | None:
    """A stored snapshot; None for one that was dropped, can't be read, or doesn't know all."""
    try:
        snapshot = _CODEC.decode(data)
    except InvalidMessage:
        return None
    return snapshot if snapshot.knows_all else None


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
        snapshot = decode_snapshot(message.data)
        return snapshot if snapshot is not None and snapshot.agent == str(agent) else None

    def store(self, agent: AgentId, snapshot: Snapshot) -> "asyncio.Future[PubAck] | None":
        """Write in the background; None if it is too large to be stored. Loss does no harm."""
        data = _CODEC.encode(snapshot)
        if len(data) > self._bus.max_payload - 1_024:
            return None
        return self._publish(self._bus.subjects.snapshot(agent), data)

    async def drop(self, agent: AgentId) -> None:
        """Forget the agent's snapshot: an empty one takes its place. Raises as a publish."""
        await self._bus.publish(self._bus.subjects.snapshot(agent), b"", headers=None, timeout=5.0)

    async def dispatched(self, agent: AgentId) -> Dispatched | None:
        """Up to which commit its effects are out, if it was noted when the agent came to rest."""
        message = await self._bus._js.last_message(self._stream, self._out(agent))
        if message is None:
            return None
        try:
            return _DISPATCHED.decode(message.data)
        except InvalidMessage:
            return None

    def note_dispatched(self, agent: AgentId, fold: Fold[Any]) -> "asyncio.Future[PubAck] | None":
        """Note in the background that all effects are out. Lost, they are sent once more."""
        data = _DISPATCHED.encode_known(Dispatched(fold.revision, fold.digest))
        return self._publish(self._out(agent), data)

    def _out(self, agent: AgentId) -> str:
        return f"{self._bus.subjects.snapshot(agent)}.out"

    def _publish(self, subject: str, data: bytes) -> "asyncio.Future[PubAck] | None":
        try:
            return self._bus.publish(subject, data, headers=None, timeout=5.0)
        except MoonletError:
            return None
