"""Authors without hosts: commits written to the journals of a topology as a host writes them."""

import asyncio
from collections.abc import Iterable
from contextlib import AsyncExitStack
from typing import Any

import msgspec

from moonlet.core.commit import Command, Commit, Event
from moonlet.core.digest import GENESIS
from moonlet.core.hlc import Timestamp
from moonlet.core.ids import AgentId
from moonlet.projections import At, AWSet, Fields, LexCounter, MVRegister, Observed, ORMap, View
from moonlet.streams import (
    Bus,
    GroupCommit,
    SystemClock,
    SystemEntropy,
    Topology,
    apply_topology,
    encode_commit,
    open_bus,
)
from tests.projections.connections import Hurt

JOURNALS = {"asia": ["asia"], "eu": ["eu"], "us": ["us", "desk"]}


FIELDS: dict[str, Any] = {
    "total": LexCounter,
    "by_protocol": ORMap[LexCounter],
    "alerts": AWSet,
    "risk": MVRegister,
}


class Opened(msgspec.Struct, frozen=True):
    protocol: str
    usd: int


class Flagged(msgspec.Struct, frozen=True):
    alert: str


class Acknowledged(msgspec.Struct, frozen=True):
    alert: str
    seen: Observed | None = None


class Rated(msgspec.Struct, frozen=True):
    risk: str
    seen: Observed | None = None


class Poison(msgspec.Struct, frozen=True):
    pass


def exposure_view(name: str = "exposure", version: int = 1) -> View:
    """A fresh view, so that tests don't share one."""
    view = View(name, version=version, **FIELDS)

    @view.on_event
    def opened(fields: Fields, event: Opened, at: At) -> None:
        fields.total.add(event.usd)
        fields.by_protocol[event.protocol].add(event.usd)

    @view.on_event
    def flagged(fields: Fields, event: Flagged, at: At) -> None:
        fields.alerts.add(event.alert)

    @view.on_event
    def acknowledged(fields: Fields, event: Acknowledged, at: At) -> None:
        fields.alerts.remove(event.alert)

    @view.on_event
    def rated(fields: Fields, event: Rated, at: At) -> None:
        fields.risk.set(event.risk)

    return view


class Author:
    """What a replica needs of `connect()`'s client."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self.types: dict[str, Any] = {}


class Authors:
    """Writes commits by compare-and-set, one agent `<journal>/a` per journal and more on demand."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self._writers: dict[str, GroupCommit] = {}
        self._last: dict[str, tuple[int, int, str]] = {}

    async def append(self, agent: str, *events: Any) -> int:
        """One commit with these events; returns its sequence."""
        (sequence,) = await self.append_all([(agent, events)])
        return sequence

    async def append_all(self, commits: Iterable[tuple[str, Iterable[Any]]]) -> list[int]:
        """Commits in this order, one agent's never twice in one call."""
        return list(await asyncio.gather(*(self._append(a, tuple(e)) for a, e in commits)))

    def _append(self, agent: str, events: tuple[Any, ...]) -> "asyncio.Future[int]":
        who = AgentId.parse(agent)
        stream = self.bus.topology.journal_of(who.type)
        revision, expected, previous = self._last.get(agent, (0, 0, GENESIS))
        commit = Commit(
            agent=agent,
            revision=revision + 1,
            outcome="accepted",
            command=Command(id=f"{agent}-{revision + 1}", name="Do", body={}),
            time=Timestamp(1_700_000_000_000_000 + revision),
            events=tuple(Event(type(e).__name__, msgspec.to_builtins(e)) for e in events),
            previous_digest=previous,
        )
        record, digest = encode_commit(commit, self.bus.encoding)
        writer = self._writers.setdefault(stream, GroupCommit(self.bus, stream))
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def done(outcome: Any) -> None:
            if isinstance(outcome, list):
                self._last[agent] = (revision + 1, outcome[0], digest)
                future.set_result(outcome[0])
            else:
                future.set_exception(outcome)

        writer.append(self.bus.subjects.journal(who), expected, [record], done)
        return future


class World:
    """Journals on a real server, and clients of them; each has a connection of its own."""

    def __init__(self, url: str, prefix: str) -> None:
        self.url = url
        self.topology = Topology(journals=JOURNALS, prefix=prefix)
        self._stack = AsyncExitStack()

    async def client(self) -> Author:
        return Author(await open_bus(self._stack, self.url, topology=self.topology))

    async def hurt_client(self) -> tuple[Author, Hurt]:
        """A client whose connection can be made to misbehave."""
        hurt = Hurt((await self.client()).bus._js)
        bus = Bus(hurt, SystemClock(), SystemEntropy(), topology=self.topology)
        return Author(bus), hurt

    def stream(self, journal: str) -> str:
        return self.topology.journal_stream(journal)

    async def __aenter__(self) -> "World":
        self.moon = await self.client()
        self.js = self.moon.bus._js
        await apply_topology(self.moon.bus, self.topology)
        self.authors = Authors(self.moon.bus)
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self._stack.aclose()
