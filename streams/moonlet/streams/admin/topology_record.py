"""The topology that was asked for, as it stands in the bucket `config`: the truth for everybody.

The first host of a prefix stores what it was told; from then on whoever starts goes by what stands,
and only `apply_topology`, an operator's, writes another. What is not said (a field left at its
default) is taken from what stands; what is said and stands otherwise is refused.
"""

from typing import Final

import msgspec

from moonlet.core.codec import Codec
from moonlet.core.errors import Conflict, InvalidMessage, InvalidSettings, PermissionDenied
from moonlet.streams.admin.found_topology import find_topology
from moonlet.streams.admin.topology_plan import (
    Step,
    carry_out,
    create_stream,
    plan_topology,
    refuse_moves,
)
from moonlet.streams.api import ServerRefused
from moonlet.streams.buckets import Bucket
from moonlet.streams.bus import Bus
from moonlet.streams.codes import is_missing
from moonlet.streams.journal import JournalMarks
from moonlet.streams.topology import Topology

KEY: Final = "topology"

_CODEC: Final = Codec[Topology](Topology, "json")


async def stored_topology(bus: Bus, prefix: str | None = None) -> Topology | None:
    """What was asked for under the prefix (the bus's own by default); None if nobody asked yet.

    Read from the leader. Raises `InvalidSettings` if the record can't be read, `Unavailable`,
    `PermissionDenied`.
    """
    prefix = prefix or bus.topology.prefix
    try:
        entry = await _bucket(bus, prefix).get(KEY)
    except ServerRefused as error:
        if is_missing(error):
            return None
        raise
    if entry is None:
        return None
    try:
        return msgspec.structs.replace(_CODEC.decode(entry.value), prefix=prefix)
    except InvalidMessage as error:
        raise InvalidSettings(
            f"the topology stored under {prefix} can't be read: {error}; store it anew with"
            " `moonlet topology apply`"
        ) from None


async def standing_topology(bus: Bus, prefix: str | None = None) -> Topology | None:
    """What stands under the prefix: what was asked for, or what a system older than that shows.

    None where there is neither, and for a user who may not look. Raises as `stored_topology`.
    """
    prefix = prefix or bus.topology.prefix
    try:
        return await stored_topology(bus, prefix) or await find_topology(bus, prefix)
    except PermissionDenied:
        return None


def joined(told: Topology, standing: Topology) -> Topology:
    """What holds for whoever is told `told` where `standing` stands: that, or `InvalidSettings`.

    A field of `told` that is the default is not said.
    """
    default = Topology(prefix=told.prefix)
    differences = [
        f"{field} is {getattr(standing, field)!r}, not {getattr(told, field)!r}"
        for field in Topology.__struct_fields__
        if getattr(told, field) not in (getattr(default, field), getattr(standing, field))
    ]
    if differences:
        raise InvalidSettings(
            f"the topology that stands under {told.prefix} is another: {'; '.join(differences)};"
            " change it with `moonlet topology apply`, or leave it out to go by what stands"
        )
    return standing


async def settle_topology(bus: Bus) -> list[Step]:
    """Go by the topology that stands, or store the bus's own as the first; make what is missing.

    The bus has it then. A stream that stands is never changed: the steps returned with `update`
    are what an operator's `apply_topology` would do. Of journals only those are made that were
    never there: see `missing_journals`. Raises `InvalidSettings`, `Unavailable`.
    """
    told = bus.topology
    attempt = 0
    while (standing := await stored_topology(bus)) is None:
        if attempt:  # another host's is on its way
            await bus.backoff(attempt)
        attempt += 1
        found = await find_topology(bus, told.prefix)  # of a system older than the record
        bus.topology = told if found is None else joined(told, found)
        await store_first(bus)
    bus.topology = joined(told, standing)
    steps = [await _seen_before(bus, step) for step in await plan_topology(bus)]
    await carry_out(bus, [step for step in steps if step.action not in ("update", "gone")])
    return steps


async def _seen_before(bus: Bus, step: Step) -> Step:
    """A journal that is missing, but has a mark, is gone: an empty one would pass for whole."""
    if step.action == "create" and step.stream in bus.topology.journal_streams:
        if await JournalMarks(bus).read(step.stream) is not None:
            return msgspec.structs.replace(step, action="gone")
    return step


async def apply_topology(bus: Bus, wanted: Topology | None = None) -> list[Step]:
    """Store a topology as the truth, and change the streams to it; returns the steps.

    An operator's; without one the bus's own. Nothing is changed if it is refused: `InvalidSettings`
    for a type that would change its journal, and for a difference that nobody asked for. Twice is
    harmless; cut off in the middle, the record says already what was asked for, and the same call
    finishes it.
    """
    wanted = wanted or bus.topology
    before = await standing_topology(bus, wanted.prefix)
    if before is not None:
        await refuse_moves(bus, before, wanted)
    steps = await plan_topology(bus, wanted)
    if before is not None:
        steps = [await _seen_before(bus, step) for step in steps]
    # The bucket comes first: a server that can't have so many replicas says so before anything.
    own = wanted.bucket("config")
    steps = [step for step in steps if step.action != "gone"]
    await carry_out(bus, steps, only=own)
    await _bucket(bus, wanted.prefix).put(KEY, _CODEC.encode(wanted))
    if wanted.prefix == bus.topology.prefix:
        bus.topology = wanted
    await carry_out(bus, [step for step in steps if step.stream != own])
    return steps


async def store_first(bus: Bus) -> None:
    """Store what the bus goes by, unless something stands."""
    topology = bus.topology
    await create_stream(bus, topology.config_of(topology.bucket("config")))
    try:
        await _bucket(bus, topology.prefix).put(KEY, _CODEC.encode(topology), revision=0)
    except Conflict:
        pass  # another host was first: that is what stands


def _bucket(bus: Bus, prefix: str) -> Bucket:
    return Bucket(bus, Topology(prefix=prefix).bucket("config"))
