"""What replicas tell each other while nothing moves: who is how far, and with which digest.

At an equal frontier an unequal digest is a fault, always: fold code of two minds, or a broken disk.
"""

from typing import Final

import msgspec

from moonlet.core.frontier import Frontier
from moonlet.projections.errors import DeltaRefused
from moonlet.projections.exchange.delta import check_frontier, check_identity
from moonlet.projections.view import ViewState

DIGEST_BYTES: Final = 8


class Heartbeat(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """`lag` is the vector less what is on disk; an empty digest: it wasn't computed."""

    replica: str
    version: int
    identity: bytes
    vector: list[int]
    lag: list[int]
    digest: bytes = b""


class Ask(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A replica asks for what is new since its vector; the answer's size is the giver's matter."""

    version: int
    identity: bytes
    vector: list[int]


def make_heartbeat(state: ViewState, replica: str, *, durable: Frontier, digest: str = "") -> bytes:
    """`replica` names the sender, at most 24 characters. With a digest only if it is at hand."""
    saved = state.journals.vector(durable)
    lag = [high - low for high, low in zip(state.vector, saved, strict=True)]
    short = bytes.fromhex(digest)[:DIGEST_BYTES]
    return _encode(
        Heartbeat(replica[:24], state.view.version, state.identity, state.vector, lag, short)
    )


def read_heartbeat(state: ViewState, data: bytes) -> Heartbeat:
    """Raises `DeltaRefused` if it is none, or one of another view, version, filter, incarnation."""
    try:
        heartbeat = _heartbeat(data)
    except (msgspec.MsgspecError, ValueError) as error:
        raise _unreadable("heartbeat", error) from None
    check_identity(state, heartbeat.version, heartbeat.identity)
    check_frontier(state, heartbeat.vector)
    check_frontier(state, heartbeat.lag)
    return heartbeat


def differs(state: ViewState, heartbeat: Heartbeat, digest: str) -> bool:
    """Whether sender and state, with this digest, are at one frontier but not of one mind."""
    return (
        heartbeat.digest != b""
        and heartbeat.vector == state.vector
        and heartbeat.digest != bytes.fromhex(digest)[:DIGEST_BYTES]
    )


def make_ask(state: ViewState) -> bytes:
    """The request for what is new since the state's frontier."""
    return _encode(Ask(state.view.version, state.identity, state.vector))


def read_ask(state: ViewState, data: bytes) -> Frontier:
    """The frontier to make a delta since; raises `DeltaRefused` as `read_heartbeat` does."""
    try:
        ask = _ask(data)
    except (msgspec.MsgspecError, ValueError) as error:
        raise _unreadable("request", error) from None
    check_identity(state, ask.version, ask.identity)
    check_frontier(state, ask.vector)
    return state.journals.frontier(ask.vector)


def _unreadable(what: str, error: Exception) -> DeltaRefused:
    return DeltaRefused(f"a {what} can't be read ({error})", fault="damaged")


_encode: Final = msgspec.msgpack.Encoder().encode
_heartbeat: Final = msgspec.msgpack.Decoder(Heartbeat).decode
_ask: Final = msgspec.msgpack.Decoder(Ask).decode
