"""Where the demo's data stays: a folder's embedded server, emptied of the last demo's, or kept."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from moonlet.agents import connect
from moonlet.console.agents import count_commits
from moonlet.core.errors import InvalidSettings, Unavailable
from moonlet.satellites import SATELLITES, TOPOLOGY
from moonlet.satellites.night import AGENTS
from moonlet.streams import (
    Bus,
    Embedded,
    Registry,
    Topology,
    apply_topology,
    erase_embedded,
    open_embedded,
    standing_topology,
    stream_names,
    subject_counts,
)

SHOWN: Final = 5
"""How many strangers a refusal names."""


@asynccontextmanager
async def prepared(folder: Path, *, keep: bool) -> AsyncIterator[Embedded]:
    """The folder's server: empty, or with `keep` as it is. Stopped at the end if it is ours.

    It has journals: those that were kept, which may be one for all, else the satellites' three.
    Raises `InvalidSettings` where anything but a demo's agents lives, and `Unavailable` where
    another process runs the server that would have to be emptied; then nothing is changed.
    """
    folder = _made(folder)
    server = await open_embedded(folder)
    try:
        if not keep and await _is_used(folder, server):
            if not server.owned:
                raise Unavailable(
                    f"process {server.owner_pid} runs the server of {folder}: end it so"
                    " that the demo can start fresh, go on with --keep, or use another folder"
                    " with --data"
                )
            await server.stop()
            erase_embedded(folder)
            server = await open_embedded(folder)
        async with connect(server.url) as moon:
            if await standing_topology(moon.bus) is None:
                await apply_topology(moon.bus, TOPOLOGY)
        yield server
    finally:
        await server.stop()


def _made(folder: Path) -> Path:
    """The folder, absolute; made if it isn't there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidSettings(f"--data {folder} can't be made: {error.strerror}") from None
    return folder.resolve()


async def _is_used(folder: Path, server: Embedded) -> bool:
    """Whether a demo's data is there; raises `InvalidSettings` if anything else is."""
    async with connect(server.url) as moon:
        bus = moon.bus
        streams = await stream_names(bus)
        if not streams:
            return False
        strangers = await _strangers(bus, streams)
    if strangers:
        more = f" and {len(strangers) - SHOWN} more" if len(strangers) > SHOWN else ""
        raise InvalidSettings(
            f"{folder / '.moonlet'} holds what is not the demo's:"
            f" {', '.join(strangers[:SHOWN])}{more}; the demo would erase it: give it a folder of"
            " its own with --data DIR, or run beside them with --keep"
        )
    return True


async def _strangers(bus: Bus, streams: list[str]) -> list[str]:
    """Agents, agent types and streams that no demo makes."""
    topology = bus.topology
    ours = {config["name"] for each in (Topology(), TOPOLOGY) for config in each.configs()}
    found = {f"stream {name}" for name in streams if name not in ours}
    commits, foreign = await count_commits(bus)
    found.update(agent for agent in commits if agent not in AGENTS)
    found.update(f"subject {subject}" for subject in foreign)
    for name in ("mailboxes", "internal", "timers"):
        if topology.stream(name) in streams:
            for subject in await subject_counts(bus, topology.stream(name)):
                agent = str(bus.subjects.agent(subject) or subject)
                if agent not in AGENTS:
                    found.add(agent)
    if topology.bucket("registry") in streams:
        known = {agent_type.name for agent_type in SATELLITES}
        types = await Registry(bus).types()
        found.update(f"agent type {name}" for name in types if name not in known)
    return sorted(found)
