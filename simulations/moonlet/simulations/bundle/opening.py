"""A world that continues a real server's history: its streams hold what the bundle holds.

To the world's hosts it is a server that was restarted when the bundle was taken, after all hosts
had died: waiting commands are delivered, timers fire when they are due, effects that may not be
out are dispatched again. The time of day goes on from there.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from moonlet.agents import AgentType
from moonlet.core.errors import Corrupt, InvalidSettings
from moonlet.simulations.bundle.bundle import Bundle, Held, read_bundle
from moonlet.simulations.jetstream import headers as fields
from moonlet.simulations.jetstream.configs import StreamConfig, read_stream
from moonlet.simulations.jetstream.refusals import NotSimulated
from moonlet.simulations.jetstream.store import StreamMessage
from moonlet.streams import ServerRefused

if TYPE_CHECKING:
    from moonlet.simulations.world.world import World

ELSEWHERE: Final = ("placement", "description", "num_replicas")
"""Settings of a stream that say where and how often it is kept, which is the world's to say."""


class _Registered(msgspec.Struct):
    partitions: int


def opened(path: str, agents: Sequence[AgentType[Any]]) -> Bundle:
    """The bundle at `path`, once it is clear that `agents` can go on with it.

    Raises `InvalidSettings` for a file that is none, for agent types that are missing and for other
    numbers of partitions; `Corrupt`.
    """
    file = Path(path)
    try:
        facts = file.stat()
    except OSError as error:
        raise InvalidSettings(
            f"history={path!r}: {error.strerror}; take one with `moonlet sim import {path}`"
        ) from None
    bundle = _kept(path, facts.st_mtime_ns, facts.st_size)[0]
    known = {agent_type.name: agent_type.partitions for agent_type in agents}
    missing = sorted(types_of(bundle) - set(known))
    if missing:
        raise InvalidSettings(
            f"history={path!r} holds agents of the types {', '.join(missing)}, which the test does"
            " not run: add them to agents=[...], or their commands would wait for ever"
        )
    for name, partitions in registered(bundle).items():
        if known.get(name, partitions) != partitions:
            raise InvalidSettings(
                f"history={path!r} has {partitions} partitions of {name}, the test {known[name]}:"
                f" write AgentType(..., partitions={partitions})"
            )
    return bundle


def digest_of(path: str) -> str:
    """The digest of the bundle at `path`."""
    facts = Path(path).stat()
    return _kept(path, facts.st_mtime_ns, facts.st_size)[1]


@lru_cache(maxsize=2)
def _kept(path: str, changed: int, size: int) -> tuple[Bundle, str]:
    """Read once for all the worlds of a sweep; nobody changes it."""
    return read_bundle(Path(path))


def types_of(bundle: Bundle) -> set[str]:
    """The agent types that have a commit, or a command that waits."""
    families = {"evt": 1, "cmd": 1, "in": 1, "call": 1, "timer": 1, "fire": 1}
    start = len(bundle.topology.prefix) + 1
    found: set[str] = set()
    for held in bundle.streams:
        for message in held.messages:
            tokens = message.subject[start:].split(".")
            if tokens[0] in families and len(tokens) > 2:
                found.add(tokens[1])
    return found


def registered(bundle: Bundle) -> dict[str, int]:
    """The partitions of each registered type; raises `Corrupt`."""
    registry = bundle.stream(bundle.topology.bucket("registry"))
    prefix = f"$KV.{bundle.topology.prefix}-registry.type."
    found: dict[str, int] = {}
    for message in registry.messages if registry is not None else ():
        if message.subject.startswith(prefix) and message.data:
            try:
                record = msgspec.json.decode(message.data, type=_Registered)
            except msgspec.MsgspecError as error:
                raise Corrupt(
                    f"{message.subject} can't be read: {error}",
                    stream=registry.name if registry is not None else "",
                    sequence=message.sequence,
                ) from None
            found[message.subject.removeprefix(prefix)] = record.partitions
    return found


def continue_from(bundle: Bundle, world: World) -> None:
    """Put all that the bundle holds into the world's server, before any host starts.

    Raises `Corrupt` for histories that don't add up with the agents' code of today.
    """
    now = world.server.now()
    model = world.server.broker.model
    for held in bundle.streams:
        config = _config(held, world.profile.servers)
        stream = model.add_stream(now, config)
        stream.created = held.created
        stream.store.restore(map(_stored, held.messages), held.first, held.last)
    model.restart(now)
    world.note("history", "world", bundle.taken, bundle.messages)
    world.chronicle.look()
    parked = bundle.stream(bundle.topology.stream("parked"))
    if parked is not None and len(parked.messages) < parked.last:
        world.chronicle.forgive_parked()  # an operator has dealt with some
    for history in world.chronicle.histories.values():
        if history.broken or history.twice:
            raise Corrupt(
                history.broken or f"{history.agent}: {history.twice[0]} was committed twice"
            )


def _config(held: Held, servers: int) -> StreamConfig:
    config = {key: value for key, value in held.config.items() if key not in ELSEWHERE}
    try:
        return read_stream(msgspec.json.encode({**config, "num_replicas": servers}), servers)
    except (ServerRefused, NotSimulated) as error:
        raise InvalidSettings(f"stream {held.name} can't be simulated: {error}") from None


def _stored(message: Any) -> StreamMessage:
    headers = dict(message.headers) if message.headers else None
    ttl = fields.ttl_seconds(headers[fields.TTL]) if headers and fields.TTL in headers else None
    expiry = message.time + ttl * fields.SECOND if ttl and ttl > 0 else 0
    stored = StreamMessage(message.subject, headers, message.data, message.time, expiry)
    stored.sequence = message.sequence
    return stored
