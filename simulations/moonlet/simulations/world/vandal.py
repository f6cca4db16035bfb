"""Somebody who may do everything to a world's server, and does: `world.vandal`."""

from __future__ import annotations

from typing import Final

from moonlet.core.errors import InvalidSettings
from moonlet.core.ids import AgentId
from moonlet.simulations.bundle import Held
from moonlet.simulations.chronicle import Chronicle
from moonlet.simulations.jetstream import MemoryServer
from moonlet.simulations.loop import SimLoop
from moonlet.simulations.world.history import held_of, put_back
from moonlet.streams import Topology
from moonlet.streams.subjects import Subjects

GARBAGE: Final = b"no commit: "


class Vandal:
    """Each takes effect at once, at the server itself: no network is in the way."""

    def __init__(
        self, loop: SimLoop, server: MemoryServer, topology: Topology, chronicle: Chronicle
    ) -> None:
        self._loop = loop
        self._server = server
        self._topology = topology
        self._chronicle = chronicle
        self._subjects = Subjects(topology.prefix)
        self._written = 0

    def garble(self, agent: str) -> None:
        """Write bytes into an agent's journal that are no commit: it stops until a repair."""
        id = AgentId.parse(agent)
        self._loop.note("garble", "nats", agent)
        self._written += 1
        data = GARBAGE + str(self._written).encode()
        self._chronicle.foreign.add(data)
        model = self._server.broker.model
        model.receive(self._server.now(), self._subjects.journal(id), "", None, data)

    def delete_consumers(self, stream: str) -> int:
        """Delete all consumers of `mailboxes`, `internal`, `timers` or a journal; how many."""
        found = self._server.broker.model.streams.get(self._name(stream))
        names = sorted(found.consumers) if found is not None else []
        self._loop.note("delete consumers", "nats", stream, len(names))
        for name in names:
            self._request(f"CONSUMER.DELETE.{self._name(stream)}.{name}")
        return len(names)

    def hold(self, stream: str) -> Held:
        """A backup of a stream, as it is now; raises `InvalidSettings` if there is none."""
        held = held_of(self._server, self._name(stream))
        if held is None:
            raise InvalidSettings(f"there is no stream {self._name(stream)} now")
        return held

    def delete(self, stream: str) -> None:
        """Delete a stream: `snapshots`, say, a bucket like `KV:leases`, or a journal."""
        self._loop.note("delete", "nats", stream)
        self._request(f"STREAM.DELETE.{self._name(stream)}")

    def restore(self, held: Held) -> None:
        """Put a stream back as a backup has it, in place of what there is.

        What hosts write into an older one from then on is judged as new.
        """
        if held.name in self._server.broker.model.streams:
            self._request(f"STREAM.DELETE.{held.name}")
        self._loop.note("restore", "nats", held.name, held.last)
        put_back(self._server, held)
        self._chronicle.restored(held.name)

    def _name(self, stream: str) -> str:
        topology = self._topology
        if stream.startswith("KV:"):
            return topology.bucket(stream.removeprefix("KV:"))
        if stream in topology.journal_streams:
            return stream
        return topology.stream(stream)

    def _request(self, what: str) -> None:
        model = self._server.broker.model
        model.receive(self._server.now(), f"$JS.API.{what}", "", None, b"")
