"""The registry of agent types: where each type's agents are, fixed when it is first registered.

Types that are registered together share a pool, so that one consumer can serve all of them. A type
joins a pool only while every living host that runs one of the pool's types runs it too: whoever
runs but a part of a pool needs consumers of its own for each type.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from moonlet.core.codec import Codec
from moonlet.core.errors import (
    Conflict,
    Corrupt,
    InvalidAgentType,
    InvalidId,
    InvalidMessage,
    UnknownAgentType,
)
from moonlet.core.ids import AgentId, check_name
from moonlet.streams.api import ServerRefused
from moonlet.streams.buckets.kv import Bucket
from moonlet.streams.buckets.odd_records import OddRecords
from moonlet.streams.bus import Bus
from moonlet.streams.codes import is_missing
from moonlet.streams.subjects import Home

PARTITIONS_MAX: Final = 256
"""Partitions that an agent type may have."""


class _Record(msgspec.Struct, frozen=True, omit_defaults=True):
    """What stands in the bucket: `partitions` of a type older than pools, else `pool`, `slots`.

    They have other names so that a program older than pools refuses the type, instead of sending
    its commands where nobody looks for them.
    """

    partitions: int = 0
    pool: str = ""
    slots: int = 0


_CODEC: Final = Codec[_Record](_Record, "json")

Joins = Callable[[str, frozenset[str]], bool]
"""Whether a new type may join the pool of these types."""


class Registry:
    """A cached reader, and the writer, of the bucket `registry`."""

    def __init__(self, bus: Bus) -> None:
        self._bucket = Bucket(bus, bus.topology.bucket("registry"))
        self.odd = OddRecords(bus.topology.bucket("registry"))
        self._unreadable: dict[str, Corrupt] = {}
        self._known: dict[str, Home] = {}
        self.known = self._known.get
        """The home of a type, None if it was not read yet: it never changes."""

    async def home(self, type: str) -> Home:
        """Where a type's agents are; raises `UnknownAgentType`, `Corrupt`."""
        known = self._known.get(type)
        if known is None:
            try:
                entry = await self._bucket.get(f"type.{type}")
            except ServerRefused as error:
                if not is_missing(error):
                    raise
                entry = None  # no host was ever here
            if entry is None:
                raise UnknownAgentType(
                    f"no agent type {type!r} is registered: start a host that runs it, with"
                    " `moonlet run` or Host(...), or correct the name"
                )
            try:
                known = self._known[type] = decode_home(entry.value)
            except InvalidMessage as error:
                raise self.odd.corrupt(entry, error) from None
        return known

    async def types(self) -> dict[str, Home]:
        """All registered types and where they are, sorted by name, read anew."""
        found: dict[str, Home] = {}
        self._unreadable = {}
        for entry in await self._bucket.entries("type.*"):
            type_ = entry.key.removeprefix("type.")
            try:
                found[check_name(type_, "agent type")] = decode_home(entry.value)
            except (InvalidMessage, InvalidId) as error:
                self.odd.name(entry, error)
                self._unreadable[type_] = self.odd.corrupt(entry, error)
        self._known.update(found)
        return found

    def pool(self, pool: str) -> frozenset[str]:
        """The types of a pool, as far as they were read."""
        return frozenset(name for name, home in self._known.items() if home.pool == pool)

    async def register(self, types: Mapping[str, int], joins: Joins) -> None:
        """Register types with their numbers of partitions, or confirm them.

        Raises `InvalidAgentType` for another number, `Corrupt` for a record that can't be read;
        what was registered by then stays.
        """
        while True:
            found = await self.types()
            for name, partitions in types.items():
                if name in self._unreadable:
                    raise self._unreadable[name]
                if name in found and found[name].partitions != partitions:
                    raise InvalidAgentType(
                        f"agent type {name} is registered with {found[name].partitions} partitions,"
                        f" not {partitions}: agents would change their place; write"
                        f" AgentType(..., partitions={found[name].partitions})"
                    )
            new = sorted(set(types) - set(found))
            if not new:
                return
            # Its founder first: whoever else founds one with other types then joins this one.
            count = types[new[0]]
            pool = _pool_for(new[0], count, found, joins)
            if not await self._create(new[0], Home(count, pool)):
                continue
            members = frozenset({new[0], *(t for t, home in found.items() if home.pool == pool)})
            same = [name for name in new[1:] if types[name] == count and joins(name, members)]
            await asyncio.gather(*(self._create(name, Home(count, pool)) for name in same))

    async def _create(self, type: str, home: Home) -> bool:
        """Write a new type's record; False if another came first."""
        record = _Record(pool=home.pool, slots=home.partitions)
        try:
            await self._bucket.put(f"type.{type}", _CODEC.encode(record), revision=0)
        except Conflict:
            return False
        return True

    async def store_again(self) -> None:
        """The bucket was deleted: write what is known of types; what another wrote stands."""
        await asyncio.gather(*(self._create(name, home) for name, home in self._known.items()))

    async def mark_stopped(self, agent: AgentId, stopped: bool) -> None:
        """Mark an agent as stopped, for every owner to come, or take the mark away."""
        key = f"stopped.{agent.type}.{agent.key}"
        if stopped:
            await self._bucket.put(key, b"{}")
        else:
            await self._bucket.delete(key)

    async def stopped(self, type: str = "*") -> set[AgentId]:
        """The stopped agents of a type, or of all."""
        found = set()
        for entry in await self._bucket.entries(f"stopped.{type}.*"):
            _, type_, key = entry.key.split(".")
            try:
                found.add(AgentId.parse(f"{type_}/{key}"))
            except InvalidId as error:
                self.odd.name(entry, error)
        return found


def decode_home(value: bytes) -> Home:
    """What a record of the bucket says; raises `InvalidMessage`."""
    record = _CODEC.decode(value)
    partitions = record.partitions or record.slots
    if not 1 <= partitions <= PARTITIONS_MAX:
        raise InvalidMessage(f"it has {partitions} partitions: 1 to {PARTITIONS_MAX} are possible")
    if record.pool:
        try:
            check_name(record.pool, "pool")
        except InvalidId as error:
            raise InvalidMessage(str(error)) from None
    return Home(partitions, record.pool)


def _pool_for(type: str, partitions: int, found: Mapping[str, Home], joins: Joins) -> str:
    """The pool that a new type joins: one it may join, the first by name, else one of its own."""
    pools: dict[str, set[str]] = {}
    for name, home in found.items():
        if home.pool and home.partitions == partitions:
            pools.setdefault(home.pool, set()).add(name)
    may = (pool for pool, members in sorted(pools.items()) if joins(type, frozenset(members)))
    return next(may, type)
