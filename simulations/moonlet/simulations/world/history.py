"""A world that continues a real server's history: its streams hold what the bundle holds.

To the world's hosts it is a server that was restarted when the bundle was taken, after all hosts
had died: waiting commands are delivered, timers fire when they are due, effects that may not be
out are dispatched again. The time of day goes on from there.
"""

from __future__ import annotations

from typing import Final

import msgspec

from moonlet.core.errors import Corrupt, InvalidSettings
from moonlet.simulations.bundle import Bundle, Held, names_of
from moonlet.simulations.chronicle import Chronicle
from moonlet.simulations.jetstream import (
    MemoryServer,
    NotSimulated,
    StreamConfig,
    read_stream,
    restored,
)
from moonlet.simulations.loop import SimLoop
from moonlet.streams import ServerRefused, StoredMessage, Topology

ELSEWHERE: Final = ("placement", "description", "num_replicas")
"""Settings of a stream that say where and how often it is kept, which is the world's to say."""


def continue_from(
    bundle: Bundle, loop: SimLoop, server: MemoryServer, chronicle: Chronicle
) -> None:
    """Put all that the bundle holds into a world's server, before any host starts.

    Raises `Corrupt` for histories that don't add up with the agents' code of today.
    """
    now = server.now()
    model = server.broker.model
    for held in bundle.streams:
        put_back(server, held)
    model.restart(now)
    loop.note("history", "world", bundle.taken, bundle.messages)
    chronicle.look()
    parked = bundle.stream(bundle.topology.stream("parked"))
    if parked is not None and len(parked.messages) < parked.last:
        chronicle.forgive_parked()  # an operator has dealt with some
    for history in chronicle.histories.values():
        if history.broken or history.twice:
            raise Corrupt(
                history.broken or f"{history.agent}: {history.twice[0]} was committed twice"
            )


def put_back(server: MemoryServer, held: Held) -> None:
    """A stream stands again as it was held. The server has none of its name."""
    model = server.broker.model
    stream = model.add_stream(server.now(), _config(held, model.servers))
    stream.created = held.created
    messages = (
        restored(each.sequence, each.subject, each.headers, each.data, each.time)
        for each in held.messages
    )
    stream.store.restore(messages, held.first, held.last)


def held_of(server: MemoryServer, name: str) -> Held | None:
    """What a stream holds now, None if there is none of that name."""
    stream = server.broker.model.streams.get(name)
    if stream is None:
        return None
    store = stream.store
    messages = [
        StoredMessage(each.subject, each.sequence, each.time, each.headers, each.data)
        for each in store.messages.values()
    ]
    first = store.first or store.last + 1
    return Held(name, stream.config.to_json(), stream.created, first, store.last, messages)


def bundle_of(server: MemoryServer, topology: Topology) -> Bundle:
    """All that a world's server holds now, as if it had been taken of a real one."""
    found = (held_of(server, name) for name in names_of(topology))
    streams = [held for held in found if held is not None]
    return Bundle(server.now(), "simulated", topology, streams)


def _config(held: Held, servers: int) -> StreamConfig:
    config = {key: value for key, value in held.config.items() if key not in ELSEWHERE}
    try:
        return read_stream(msgspec.json.encode({**config, "num_replicas": servers}), servers)
    except (ServerRefused, NotSimulated) as error:
        raise InvalidSettings(f"stream {held.name} can't be simulated: {error}") from None
