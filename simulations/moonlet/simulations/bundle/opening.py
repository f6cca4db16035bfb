"""Opening a bundle for a world: read once in a process, and judged against the agents' code."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from moonlet.agents import AgentType
from moonlet.core.errors import Corrupt, InvalidSettings
from moonlet.simulations.bundle.bundle import Bundle, read_bundle


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
