"""A delta in pieces that fit into messages, and whole again. Pieces may come late or twice."""

from hashlib import blake2b
from typing import Final

import msgspec

from moonlet.core.errors import PayloadTooLarge
from moonlet.projections.errors import DeltaRefused
from moonlet.projections.exchange.delta import MAX_DELTA

MAX_FRAME: Final = 262_144
"""Bytes of a frame; the server's default for a message is four times that."""

MAX_PENDING: Final = 4
"""Deltas that may be incomplete at once; beyond it the oldest is dropped, to be asked for again."""

_SLICE: Final = b"\x02"
_ID_BYTES: Final = 8
_ROOM: Final = MAX_FRAME - 64


class Slice(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Piece `part` of `parts` of the delta whose hash is `id`."""

    id: bytes
    part: int
    parts: int
    data: bytes


def split(delta: bytes) -> list[bytes]:
    """The frames of a delta: itself if it fits into one."""
    if len(delta) <= MAX_FRAME:
        return [delta]
    id_ = _hash(delta)
    slices = [delta[start : start + _ROOM] for start in range(0, len(delta), _ROOM)]
    return [
        _SLICE + _encode(Slice(id_, part, len(slices), data)) for part, data in enumerate(slices)
    ]


class Assembly:
    """Collects frames of one sender or many. Deltas are safe to lose: they are asked for again."""

    def __init__(self) -> None:
        self._pending: dict[bytes, dict[int, Slice]] = {}

    def add(self, frame: bytes) -> bytes | None:
        """The delta that this frame completes, if any. Raises `DeltaRefused`, `PayloadTooLarge`."""
        if len(frame) > MAX_FRAME:
            raise PayloadTooLarge(
                f"a frame of {len(frame)} bytes is over the limit of {MAX_FRAME}: no replica sends"
                " that; find out who publishes on the view's subjects",
                limit=MAX_FRAME,
                value=len(frame),
            )
        if frame[:1] != _SLICE:
            return frame
        piece = self._read(frame)
        pieces = self._pending.setdefault(piece.id, {})
        known = pieces.get(piece.part)
        if (known is not None and known != piece) or any(
            other.parts != piece.parts for other in pieces.values()
        ):
            del self._pending[piece.id]
            raise DeltaRefused(
                "frames of one delta contradict each other: ask for it again", fault="forged"
            )
        pieces[piece.part] = piece
        if len(pieces) < piece.parts:
            while len(self._pending) > MAX_PENDING:
                del self._pending[next(iter(self._pending))]
            return None
        del self._pending[piece.id]
        delta = b"".join(pieces[part].data for part in range(piece.parts))
        if _hash(delta) != piece.id:
            raise DeltaRefused(
                "the frames of a delta don't add up to it: ask for it again", fault="damaged"
            )
        return delta

    def _read(self, frame: bytes) -> Slice:
        try:
            piece = _decode(frame[1:])
        except (msgspec.MsgspecError, ValueError) as error:
            raise DeltaRefused(
                f"a frame can't be read ({error}): ask for the delta again", fault="damaged"
            ) from None
        if not 0 <= piece.part < piece.parts or len(piece.id) != _ID_BYTES:
            raise DeltaRefused(
                f"a frame says it is piece {piece.part} of {piece.parts}", fault="forged"
            )
        if piece.parts > MAX_DELTA // _ROOM:
            raise PayloadTooLarge(
                f"a delta of {piece.parts} frames is over the limit of {MAX_DELTA} bytes: read the"
                " journals instead",
                limit=MAX_DELTA,
                value=piece.parts * _ROOM,
            )
        return piece


def _hash(delta: bytes) -> bytes:
    return blake2b(delta, digest_size=_ID_BYTES).digest()


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Slice).decode
