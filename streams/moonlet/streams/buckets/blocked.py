"""Marks of handlers that kept their host's loop: durable, so that the next owner knows of them."""

from typing import Final

import msgspec

from moonlet.core.codec import Codec
from moonlet.core.errors import InvalidMessage
from moonlet.core.ids import AgentId
from moonlet.streams.buckets.kv import Bucket, Entry
from moonlet.streams.bus import Bus


class Blocked(msgspec.Struct, frozen=True, omit_defaults=True):
    """What ran: the `kind` is command, query or fold, `name` that of the message.

    `place` (`stream:sequence`) and `id` are a command's. It had run for `seconds` when this was
    written, of `limit` that it may. `ended`: that is why the process of `host` ended.
    """

    agent: str
    kind: str
    name: str
    place: str = ""
    id: str = ""
    host: str = ""
    seconds: float = 0.0
    limit: float = 0.0
    ended: bool = False
    stack: str = ""


_CODEC: Final = Codec[Blocked](Blocked, "json")


class BlockedMarks:
    """The writer and the reader: one mark an agent, in the bucket `registry`."""

    def __init__(self, bus: Bus) -> None:
        self._bucket = Bucket(bus, bus.topology.bucket("registry"))

    async def put(self, mark: Blocked, *, timeout: float = 5.0) -> None:
        """Write the agent's mark, over any before."""
        id = AgentId.parse(mark.agent)
        await self._bucket.put(_key(id), _CODEC.encode(mark), timeout=timeout)

    async def get(self, agent: AgentId) -> Blocked | None:
        """The agent's mark; None if there is none."""
        entry = await self._bucket.get(_key(agent))
        return None if entry is None else _read(entry)

    async def delete(self, agent: AgentId) -> None:
        """Take the mark away; none is no error."""
        await self._bucket.delete(_key(agent))

    async def all(self) -> dict[AgentId, Blocked]:
        """Every mark; what is none is left out."""
        found = {}
        for entry in await self._bucket.entries("blocked.*.*"):
            mark = _read(entry)
            if mark is not None:
                _, type_, key = entry.key.split(".")
                found[AgentId(type_, key)] = mark
        return found


def _key(agent: AgentId) -> str:
    return f"blocked.{agent.type}.{agent.key}"


def _read(entry: Entry) -> Blocked | None:
    try:
        return _CODEC.decode(entry.value)
    except InvalidMessage:
        return None
