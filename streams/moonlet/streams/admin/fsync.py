"""Whether the server waits for the disk, read back from the server itself."""

import asyncio
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec

from moonlet.core.errors import MoonletError
from moonlet.streams.bus import Bus

ASK_SECONDS = 1.0

SyncMode = float | Literal["always", "unknown"]


async def sync_mode(bus: Bus, monitoring_url: str | None = None) -> SyncMode:
    """'always', or the seconds between two syncs, or 'unknown' where nobody may tell us.

    Asks the monitoring page where there is one (the embedded server's), else the server itself,
    which answers only users of the system account; of a cluster, the first that answers.
    """
    try:
        facts = await server_page(bus, monitoring_url)
        config = facts["jetstream"]["config"]
        if config.get("sync_always"):
            return "always"
        return float(config["sync_interval"] / 1_000_000_000)
    except (MoonletError, OSError, TimeoutError, LookupError, TypeError, msgspec.DecodeError):
        return "unknown"


async def server_page(bus: Bus, monitoring_url: str | None = None) -> Any:
    """What the server says of itself (`/varz`), as it is decoded; raises whatever is wrong."""
    if monitoring_url is not None:
        return await _monitored(monitoring_url)
    answer = await bus.request("$SYS.REQ.SERVER.PING.VARZ", b"", timeout=ASK_SECONDS)
    return msgspec.json.decode(answer.data)["data"]


async def _monitored(url: str) -> Any:
    place = urlsplit(url)
    async with asyncio.timeout(ASK_SECONDS):
        reader, writer = await asyncio.open_connection(place.hostname, place.port)
        try:
            writer.write(b"GET /varz HTTP/1.0\r\nHost: localhost\r\n\r\n")
            _, _, body = (await reader.read()).partition(b"\r\n\r\n")
        finally:
            writer.close()
            await writer.wait_closed()
    return msgspec.json.decode(body)
