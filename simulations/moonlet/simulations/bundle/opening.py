"""Opening a bundle for a world: read once in a process, and judged against the agents' code."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from moonlet.agents import AgentType
from moonlet.core.errors import Corrupt, InvalidMessage, InvalidSettings
from moonlet.simulations.bundle.bundle import Bundle, read_bundle
from moonlet.streams import Subjects, decode_home


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
    subjects = Subjects(bundle.topology.prefix)
    found: set[str] = set()
    for held in bundle.streams:
        for message in held.messages:
            agent = subjects.agent(message.subject)
            if agent is not None and not message.subject.startswith(f"{subjects.prefix}.snap."):
                found.add(agent.type)
    return found


def registered(bundle: Bundle) -> dict[str, int]:
    """The partitions of each registered type; raises `Corrupt`."""
    registry = bundle.stream(bundle.topology.bucket("registry"))
    prefix = f"$KV.{bundle.topology.prefix}-registry.type."
    found: dict[str, int] = {}
    for message in registry.messages if registry is not None else ():
        if message.subject.startswith(prefix) and message.data:
            try:
                home = decode_home(message.data)
            except InvalidMessage as error:
                raise Corrupt(
                    f"{message.subject} can't be read: {error}",
                    stream=registry.name if registry is not None else "",
                    sequence=message.sequence,
                ) from None
            found[message.subject.removeprefix(prefix)] = home.partitions
    return found
