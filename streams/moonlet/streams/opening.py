"""From settings to a bus: a server that runs, or the embedded one of a folder."""

from contextlib import AsyncExitStack
from pathlib import Path

from moonlet.core.codec import Encoding
from moonlet.streams import settings
from moonlet.streams.admin import joined, standing_topology
from moonlet.streams.bus import Bus
from moonlet.streams.nats import open_connection
from moonlet.streams.server import open as open_embedded
from moonlet.streams.system import SystemClock, SystemEntropy
from moonlet.streams.topology import Topology


async def open_bus(
    stack: AsyncExitStack,
    url: str | None = None,
    *,
    context: str | None = None,
    folder: Path | None = None,
    topology: Topology | None = None,
    encoding: Encoding = "json",
) -> Bus:
    """Connect as `settings.resolve` says; what was opened ends with `stack`.

    Without any address: attach to the server of `folder` (default: the working folder), or start
    it; who started it stops it. The topology is the one that stands on the server, if any does;
    raises `InvalidSettings` if another one is given.
    """
    found, ended = settings.resolve(url, context=context), None
    if found is None:
        server = await stack.enter_async_context(await open_embedded(folder or Path.cwd()))
        found = settings.from_url(server.url, server.description)
        ended = server.why_ended
    js = await open_connection(found, why_gone=ended)
    stack.push_async_callback(js.close)
    clock, entropy = SystemClock(), SystemEntropy()
    told = topology or Topology(prefix=settings.prefix())
    bus = Bus(js, clock, entropy, topology=told, encoding=encoding)
    standing = await standing_topology(bus)
    if standing is not None:
        bus.topology = joined(told, standing)
    return bus
