"""The registry of agent types: how many partitions each has, fixed when it is first registered."""

import msgspec

from moonlet.core.codec import Codec
from moonlet.core.errors import Conflict, InvalidAgentType, UnknownAgentType
from moonlet.core.ids import AgentId
from moonlet.streams.api import ServerRefused
from moonlet.streams.bus import Bus
from moonlet.streams.codes import STREAM_NOT_FOUND
from moonlet.streams.kv import Bucket


class Registered(msgspec.Struct, frozen=True):
    """What the registry says of a type."""

    partitions: int


_CODEC = Codec[Registered](Registered, "json")


class Registry:
    """A cached reader, and the writer, of the bucket `registry`."""

    def __init__(self, bus: Bus) -> None:
        self._bucket = Bucket(bus, bus.topology.bucket("registry"))
        self._known: dict[str, int] = {}

    def known(self, type: str) -> int | None:
        """The number of partitions, if it was read before: it never changes."""
        return self._known.get(type)

    async def partitions(self, type: str) -> int:
        """The number of partitions of a type; raises `UnknownAgentType`."""
        known = self._known.get(type)
        if known is None:
            try:
                entry = await self._bucket.get(f"type.{type}")
            except ServerRefused as error:
                if error.err_code != STREAM_NOT_FOUND:
                    raise
                entry = None  # no host was ever here
            if entry is None:
                raise UnknownAgentType(
                    f"no agent type {type!r} is registered: start a host that runs it, with"
                    " `moonlet run` or Host(...), or correct the name"
                )
            known = self._known[type] = _CODEC.decode(entry.value).partitions
        return known

    async def register(self, type: str, partitions: int) -> None:
        """Register a type, or confirm it; raises `InvalidAgentType` for another number."""
        try:
            value = _CODEC.encode(Registered(partitions))
            await self._bucket.put(f"type.{type}", value, revision=0)
        except Conflict:
            found = await self.partitions(type)
            if found != partitions:
                raise InvalidAgentType(
                    f"agent type {type} is registered with {found} partitions, not {partitions}:"
                    f" agents would change their place; write AgentType(..., partitions={found})"
                ) from None
        self._known[type] = partitions

    async def types(self) -> dict[str, int]:
        """All registered types with their partitions, sorted by name."""
        return {
            entry.key.removeprefix("type."): _CODEC.decode(entry.value).partitions
            for entry in await self._bucket.entries("type.*")
        }

    async def mark_stopped(self, agent: AgentId, stopped: bool) -> None:
        """Mark an agent as stopped, for every owner to come, or take the mark away."""
        key = f"stopped.{agent.type}.{agent.key}"
        if stopped:
            await self._bucket.put(key, b"{}")
        else:
            await self._bucket.delete(key)

    async def stopped(self, type: str) -> set[str]:
        """The keys of the type's stopped agents."""
        prefix = f"stopped.{type}."
        return {e.key.removeprefix(prefix) for e in await self._bucket.entries(f"{prefix}*")}
