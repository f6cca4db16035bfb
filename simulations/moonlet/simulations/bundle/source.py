"""Taking a bundle of a real server, read-only, at one moment of it.

Streams are read one after the other, while hosts may go on. So all is read, then what has changed
meanwhile is read again, until nothing changed from the beginning of a round to its end: then what
was read is what the server held at one moment. A server that is never still for so long is refused.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final, NamedTuple

import msgspec

from moonlet.agents import Verification
from moonlet.core.errors import Corrupt, InvalidSettings, Unavailable
from moonlet.simulations.bundle.bundle import PLAIN_MAX, Bundle, Held, check_bundle, names_of
from moonlet.streams import (
    Bus,
    StoredMessage,
    StreamFacts,
    Topology,
    next_message,
    read_messages,
    read_page,
    server_facts,
    standing_topology,
    stream_facts,
    with_record,
)

PAGE: Final = 500
"""Messages asked for at a time."""

PAUSE: Final = 0.05
"""Seconds between two rounds."""

YIELD_EVERY: Final = 200
"""Commits checked before others have their turn."""

Progress = Callable[[int, int], None]
"""Called with the messages read, and those there are."""


class _State(NamedTuple):
    """What tells one moment of a stream from another."""

    first: int
    last: int
    messages: int


async def take_bundle(
    bus: Bus, *, patience: float = 10.0, progress: Progress = lambda done, total: None
) -> Bundle:
    """All that a world needs of the server. `patience`: seconds to wait until it is still.

    Raises `InvalidSettings` if nothing of Moonlet is there, `Corrupt` for histories that don't
    hang together, `Unavailable`.
    """
    taker = _Taker(bus, await _topology(bus), progress)
    bundle = await taker.take(patience)
    check_bundle(bundle)
    await _check_histories(bus, bundle)
    return bundle


async def _topology(bus: Bus) -> Topology:
    """The server's own, with its bounds; how often it is replicated is the world's affair."""
    found = await standing_topology(bus)
    if found is None:
        raise InvalidSettings(
            f"no journals of agents are on {bus.description}: name the server that hosts use"
        )
    return msgspec.structs.replace(found, replicas=1)


class _Taker:
    def __init__(self, bus: Bus, topology: Topology, progress: Progress) -> None:
        self._bus = bus
        self._topology = topology
        self._progress = progress
        self._leases = topology.bucket("leases")
        self._read: dict[str, tuple[_State, list[StoredMessage]]] = {}
        self._facts: dict[str, StreamFacts] = {}

    async def take(self, patience: float) -> Bundle:
        """Read until a round saw no change."""
        until = 0.0
        while True:
            before = await self._states()
            for name, state in before.items():
                if name not in self._read or self._read[name][0] != state:
                    await self._take_stream(name, state)
            if await self._states() == before and self._read.keys() == before.keys():
                break
            until = until or time.monotonic() + patience
            if time.monotonic() > until:
                raise Unavailable(
                    f"the server was not still for one moment in {patience:g} s, so no moment of"
                    " it can be told: stop the hosts (SIGTERM), or wait longer with --patience"
                )
            await asyncio.sleep(PAUSE)
        return await self._bundle()

    async def _states(self) -> dict[str, _State]:
        """The state of each stream but the leases', which hosts renew all the time."""
        states: dict[str, _State] = {}
        for name in names_of(self._topology):
            facts = await stream_facts(self._bus, name)
            if facts is None:
                continue
            self._facts[name] = facts
            if name != self._leases:
                states[name] = _State(facts.first, facts.last, facts.messages)
        size = sum(self._facts[name].bytes for name in states)
        if size > PLAIN_MAX:
            raise InvalidSettings(
                f"the server holds {size:,} bytes of agents, a world can take {PLAIN_MAX:,}:"
                " restore a part of it elsewhere, and take that"
            )
        return states

    async def _take_stream(self, name: str, state: _State) -> None:
        """Read a stream as of `state`; of a journal only what is new. What has holes is dropped."""
        _, known = self._read.pop(name, (None, []))
        if name not in self._topology.journal_streams:
            known = []
        messages = [*known, *await self._messages(name, known, state)]
        if len(messages) == state.messages:
            self._read[name] = state, messages

    async def _messages(
        self, name: str, known: list[StoredMessage], state: _State
    ) -> list[StoredMessage]:
        bus = self._bus
        direct = bool(self._facts[name].config.get("allow_direct"))
        start = known[-1].sequence + 1 if known else max(state.first, 1)
        found: list[StoredMessage] = []
        while start <= state.last and len(found) + len(known) < state.messages:
            page = await read_page(bus, name, ">", start=start, most=PAGE) if direct else []
            if not page:  # a replica that lags has no more: the leader may have
                one = await next_message(bus, name, ">", start=start)
                if one is None:
                    break
                page = [one]
            found += [message for message in page if message.sequence <= state.last]
            start = page[-1].sequence + 1
            self._tell(len(known) + len(found))
        return found

    def _tell(self, here: int) -> None:
        total = sum(facts.messages for facts in self._facts.values())
        done = sum(len(messages) for _, messages in self._read.values()) + here
        self._progress(min(done, total), total)

    async def _bundle(self) -> Bundle:
        """What was read; the records of partitions, without the leases of living hosts."""
        streams = [self._held(name, *self._read[name]) for name in self._read]
        facts = self._facts.get(self._leases)
        if facts is not None:
            subject = f"$KV.{self._topology.prefix}-leases.part.>"
            newest = {
                record.subject: record
                async for page in read_messages(self._bus, self._leases, subject)
                for record in page
            }
            records = sorted(newest.values(), key=lambda record: record.sequence)
            ends = [record.sequence for record in records]
            last = max([facts.last, *ends])
            state = _State(min(ends, default=last + 1), last, len(records))
            streams.append(self._held(self._leases, state, records))
        now = max(facts.time for facts in self._facts.values())
        times = [message.time for held in streams for message in held.messages]
        server = await server_facts(self._bus)
        return Bundle(max([now, *times]), str(server["version"]), self._topology, streams)

    def _held(self, name: str, state: _State, messages: list[StoredMessage]) -> Held:
        facts = self._facts[name]
        first = state.first if messages else state.last + 1
        return Held(name, facts.config, facts.created, first, state.last, messages)


async def _check_histories(bus: Bus, bundle: Bundle) -> None:
    """Raise `Corrupt` for the first history that does not hang together."""
    verification = Verification({})
    for stream in bundle.topology.journal_streams:
        held = bundle.stream(stream)
        assert held is not None
        for number, message in enumerate(held.messages):
            if number % YIELD_EVERY == 0:
                await asyncio.sleep(0)
            agent = bus.subjects.journal_agent(message.subject)
            if agent is None:
                continue  # a foreign message; hosts pass it over, in a world too
            if not verification.knows(agent):
                verification.meet(agent, stream)
            fault = verification.take(agent, await with_record(bus, stream, message))
            if fault is not None:
                raise Corrupt(
                    f"{stream}: {fault.agent} revision {fault.revision}: {fault.message};"
                    " `moonlet verify` names all faults",
                    stream=stream,
                    sequence=fault.sequence,
                )
