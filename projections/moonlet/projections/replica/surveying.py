"""Asking all replicas of a view how they are: what `compare` and `lag` show."""

import asyncio
from collections.abc import Iterable
from typing import Final

import msgspec

from moonlet.core.frontier import Frontier
from moonlet.projections.errors import DeltaRefused
from moonlet.projections.exchange import read_heartbeat
from moonlet.projections.replica.probe import find_journal
from moonlet.projections.replica.replica import ReplicaClient
from moonlet.projections.replica.tasks import RUN_LENGTH
from moonlet.projections.values import Dot
from moonlet.projections.view import View, ViewState, heartbeat_subject, journals_of
from moonlet.streams import Message

SURVEY_SECONDS: Final = 3.0
"""Long enough for a replica at rest to say its digest: it takes two heartbeats."""


class Sighting(msgspec.Struct, frozen=True):
    """A replica as it was heard: `frontier`, what of it is on disk, and the digest's first bytes.

    `digest` is empty while it moves. `fault` says why it can't be compared: another version,
    filter, incarnation (other skipped commits count as one); the rest is empty then.
    """

    replica: str
    frontier: Frontier = Frontier()
    durable: Frontier = Frontier()
    digest: str = ""
    fault: str = ""


async def survey(
    moon: ReplicaClient, view: View, *, skipped: Iterable[Dot] = (), seconds: float = SURVEY_SECONDS
) -> list[Sighting]:
    """Listen for so long; the replicas that were heard, sorted by name.

    `skipped` are the commits that those leave out which can be compared.
    """
    bus = moon.bus
    subjects = journals_of(bus, view)
    journals = [await find_journal(bus, name, read) for name, read in subjects.items()]
    state = ViewState(view, journals, skipped=skipped)
    heard: dict[str, Sighting] = {}

    def hear(message: Message) -> None:
        sighting = _sighting(state, message.data)
        if sighting is not None:
            heard[sighting.replica] = sighting

    subscription = await bus.subscribe(heartbeat_subject(bus, view), hear)
    try:
        await asyncio.sleep(seconds)
    finally:
        await subscription.unsubscribe()
    return [heard[name] for name in sorted(heard)]


def _name(on_the_wire: str) -> str:
    """As in the registry: without what tells one run from another."""
    return on_the_wire[: -RUN_LENGTH - 1]


def _sighting(state: ViewState, data: bytes) -> Sighting | None:
    try:
        beat = read_heartbeat(state, data)
    except DeltaRefused as error:
        try:
            fields = msgspec.msgpack.decode(data)
            return Sighting(_name(str(fields[0])[:24]), fault=error.fault)
        except (msgspec.MsgspecError, ValueError, LookupError, TypeError):
            return None
    lag = [high - low for high, low in zip(beat.vector, beat.lag, strict=True)]
    return Sighting(
        _name(beat.replica),
        state.journals.frontier(beat.vector),
        state.journals.frontier(max(0, n) for n in lag),
        beat.digest.hex(),
    )
