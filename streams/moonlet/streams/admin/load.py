"""What the server says of itself: its disk, its connections, who reads too slowly."""

from typing import Any

import msgspec

from moonlet.core.errors import MoonletError
from moonlet.streams.admin.fsync import server_page
from moonlet.streams.admin.inspection import storage_used
from moonlet.streams.bus import Bus


class ServerLoad(msgspec.Struct, frozen=True):
    """None where nobody may tell us. `fsync`: every write waits for the disk.

    `stored` and `stored_max` (-1: no limit) are bytes of the account, `memory` of the process,
    `cpu` per cent of one core, `slow_consumers` connections that were cut off since it began.
    """

    stored: int | None = None
    stored_max: int | None = None
    fsync: bool | None = None
    connections: int | None = None
    slow_consumers: int | None = None
    cpu: float | None = None
    memory: int | None = None
    version: str | None = None


async def server_load(bus: Bus, monitoring_url: str | None = None) -> ServerLoad:
    """Asked at its monitoring page, or of itself as `sync_mode` does; raises nothing of ours."""
    stored: int | None = None
    most: int | None = None
    try:
        stored, most = await storage_used(bus)
    except (MoonletError, LookupError, TypeError, ValueError, msgspec.DecodeError):
        pass  # a user without that right
    facts: dict[str, Any]
    try:
        facts = await server_page(bus, monitoring_url)
        config = facts["jetstream"]["config"]
        return ServerLoad(
            stored=stored,
            stored_max=most,
            fsync=bool(config.get("sync_always")),
            connections=int(facts["connections"]),
            slow_consumers=int(facts["slow_consumers"]),
            cpu=float(facts["cpu"]),
            memory=int(facts["mem"]),
            version=str(facts["version"]),
        )
    except (MoonletError, OSError, TimeoutError, LookupError, TypeError, ValueError):
        return ServerLoad(stored=stored, stored_max=most)
