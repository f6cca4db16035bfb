"""Handing a delta from one replica to another, in frames that are asked for one by one.

The taker asks, and the giver offers: how many frames, the first of them, and the marks by which
the taker compares its journals with the giver's. The taker's pace is the pace; what is lost is
asked for again; what is forged, cut off or too large is refused, and nothing has changed.
"""

import asyncio
from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

from moonlet.core.errors import MoonletError, PayloadTooLarge, Unavailable
from moonlet.core.marks import buggify
from moonlet.projections.errors import DeltaRefused
from moonlet.projections.exchange.delta import MAX_DELTA, make_delta
from moonlet.projections.exchange.frames import MAX_FRAME, Assembly, split
from moonlet.projections.exchange.heartbeat import make_ask, read_ask
from moonlet.projections.fields import forged
from moonlet.projections.values import Mark
from moonlet.projections.view import ViewState
from moonlet.streams import Bus, Message

ASK: Final = b"a"
PART: Final = b"p"
OFFER: Final = b"o"
FRAME: Final = b"f"
REFUSAL: Final = b"r"

MAX_OFFERS: Final = 4
"""Deltas in several frames that a giver keeps; beyond it the oldest must be asked for anew."""

MAX_FRAMES: Final = MAX_DELTA // (MAX_FRAME - 64) + 1

ANSWER_SECONDS: Final = 5.0
"""Until an answer is taken for lost."""

TRIES: Final = 3
"""For one frame."""

AT_ONCE: Final = 4
"""Frames asked for at a time."""


class Offer(msgspec.Struct, frozen=True, array_like=True):
    """`frames` of the delta that is kept as `number`, the first of them, the giver's marks."""

    number: int
    frames: int
    marks: list[tuple[int, str]]
    first: bytes


class FrameRequest(msgspec.Struct, frozen=True, array_like=True):
    """A request for one frame of an offer."""

    number: int
    frame: int


class Taken(NamedTuple):
    """A delta as it came, not yet joined, and the giver's marks."""

    delta: bytes
    marks: tuple[Mark, ...]


class Giver:
    """Answers what other replicas ask. Synchronous: an offer is of one moment."""

    def __init__(self, bus: Bus, state: ViewState) -> None:
        self._bus = bus
        self._state = state
        self._offers: dict[int, list[bytes]] = {}
        self._number = 0

    def answer(self, message: Message) -> None:
        """Reply to a request; one of another view or version is told so."""
        if not self._bus.subjects.may_answer(message.reply):
            return
        try:
            reply = self._reply(message.data)
        except MoonletError as error:
            reply = REFUSAL + str(error)[:1_000].encode()
        try:
            self._bus.post(message.reply, reply)
        except (Unavailable, PayloadTooLarge):
            pass  # it asks again, or somebody else

    def _reply(self, data: bytes) -> bytes:
        if data[:1] == ASK:
            return OFFER + self._offer(data[1:])
        try:
            part = _read_request(data[1:])
        except (msgspec.MsgspecError, ValueError) as error:
            raise forged(f"a request can't be read ({error})") from None
        frames = self._offers.get(part.number, [])
        if data[:1] != PART or not 0 <= part.frame < len(frames):
            raise DeltaRefused("there is no such frame: ask for the delta anew", fault="damaged")
        return FRAME + frames[part.frame]

    def _offer(self, ask: bytes) -> bytes:
        state = self._state
        since = read_ask(state, ask)
        whole = buggify("a replica gives all it has, whatever is asked for")
        frames = split(make_delta(state, None if whole else since))
        self._number += 1
        if len(frames) > 1:
            self._offers[self._number] = frames
            while len(self._offers) > MAX_OFFERS:
                del self._offers[next(iter(self._offers))]
        return _encode(Offer(self._number, len(frames), list(state.marks), frames[0]))


async def take(bus: Bus, subject: str, state: ViewState) -> Taken:
    """Ask the replica at `subject` for what is new since the state's frontier.

    Raises `Unavailable`, `DeltaRefused`, `PayloadTooLarge`; nothing has changed then.
    """
    offer = await _ask_for_offer(bus, subject, state)
    assembly = Assembly()
    delta = assembly.add(offer.first)
    missing = list(range(1, offer.frames))
    while delta is None and missing:
        now, missing = missing[:AT_ONCE], missing[AT_ONCE:]
        requests = [FrameRequest(offer.number, frame) for frame in now]
        for frame in await _ask_for_frames(bus, subject, requests):
            delta = assembly.add(frame) or delta
    if delta is None or missing:
        raise DeltaRefused(
            f"the {offer.frames} frames offered by {subject} make no delta: ask another replica",
            fault="forged",
        )
    return Taken(delta, tuple(offer.marks))


async def _ask_for_offer(bus: Bus, subject: str, state: ViewState) -> Offer:
    answer = await _request(bus, subject, ASK + make_ask(state), OFFER)
    try:
        offer = _decode_offer(answer)
    except (msgspec.MsgspecError, ValueError) as error:
        raise forged(f"an offer can't be read ({error})") from None
    if not 1 <= offer.frames <= MAX_FRAMES:
        raise PayloadTooLarge(
            f"a delta of {offer.frames} frames was offered, over the limit of {MAX_FRAMES}: read"
            " the journals instead",
            limit=MAX_FRAMES,
            value=offer.frames,
        )
    if len(offer.marks) != len(state.marks) or any(n < 0 for n, _ in offer.marks):
        raise forged(f"an offer with marks of {len(offer.marks)} journals")
    return offer


async def _ask_for_frames(bus: Bus, subject: str, parts: Sequence[FrameRequest]) -> list[bytes]:
    answers = await asyncio.gather(
        *(_request(bus, subject, PART + _encode(part), FRAME) for part in parts),
        return_exceptions=True,
    )
    frames: list[bytes] = []
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
        frames.append(answer)
    return frames


async def _request(bus: Bus, subject: str, data: bytes, kind: bytes) -> bytes:
    for attempt in range(1, TRIES + 1):
        try:
            message = await bus.request(subject, data, timeout=ANSWER_SECONDS)
            break
        except Unavailable:
            if attempt == TRIES:
                raise
            await bus.backoff(attempt)
    answer = message.data
    if answer[:1] == REFUSAL:
        raise DeltaRefused(
            f"the replica at {subject} refused: {answer[1:].decode(errors='replace')}",
            fault="damaged",
        )
    if answer[:1] != kind:
        raise forged(f"an answer of the kind {answer[:1]!r} instead of {kind!r}")
    return answer[1:]


_encode: Final = msgspec.msgpack.Encoder().encode
_read_request: Final = msgspec.msgpack.Decoder(FrameRequest).decode
_decode_offer: Final = msgspec.msgpack.Decoder(Offer).decode
