"""Making streams again that somebody deleted while hosts run."""

import re

from moonlet.streams.admin.topology_plan import create_stream
from moonlet.streams.admin.topology_record import store_first, stored_topology
from moonlet.streams.bus import Bus


async def restore_streams(bus: Bus) -> list[str]:
    """Make queues, snapshots and buckets again that are missing; returns them, which are empty.

    A journal is not made: an empty one would pass for a whole one. Several hosts may do it at once.
    Raises what the server says.
    """
    names = set(await bus._js.stream_names())
    if all(config["name"] in names for config in bus.topology.configs()):
        return []
    standing = await stored_topology(bus)  # its sizes may have been changed since we started
    if standing is not None:
        bus.topology = standing
    topology = bus.topology
    made: list[str] = []
    for config in topology.configs():
        name = config["name"]
        if name in (*names, *topology.journal_streams):
            continue
        await create_stream(bus, config)
        made.append(name)
    if topology.bucket("config") in made:
        await store_first(bus)
    if topology.bucket("leases") in made:
        await _forget_owners(bus)
    return made


async def _forget_owners(bus: Bus) -> None:
    """Delete the consumers of all owners: they are named after records that are gone.

    The next ones count from 1 again, so they would give way to these for good.
    """
    for queue in ("mailboxes", "internal", "timers"):
        stream = bus.topology.stream(queue)
        for name in await bus._js.consumer_names(stream):
            if re.search(r"-r[0-9]+$", name):
                await bus._js.delete_consumer(stream, name)
