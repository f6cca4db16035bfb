"""A connection for one command: to the server that was named, else to the folder's own."""

from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from moonlet.agents import AgentType, Client, connect
from moonlet.console.common.options import Options
from moonlet.core.errors import InvalidSettings
from moonlet.streams import Embedded, Topology, open_embedded, resolve_settings


class Session:
    """An open client, and the folder's embedded server if that is what it is connected to."""

    def __init__(self, moon: Client, server: Embedded | None) -> None:
        self.moon = moon
        self.server = server

    @property
    def where(self) -> str:
        """The server in words."""
        if self.server is None:
            return self.moon.bus.description
        how = "which ends with this process" if self.server.owned else "attached"
        return f"{self.server.url} (embedded, {how})"


@asynccontextmanager
async def opened(
    options: Options,
    types: Iterable[AgentType[Any]] = (),
    *,
    topology: Topology | None = None,
) -> AsyncIterator[Session]:
    """Connect; without any address attach to the folder's server, or start it until the end.

    The topology is what stands under the prefix; `topology` is what a first host stores there.
    Raises `InvalidSettings`, `Unavailable`, `PermissionDenied`.
    """
    topology = topology or Topology(prefix=options.prefix)
    settings = None
    if not options.embedded:
        settings = resolve_settings(options.url, context=options.context)
    async with AsyncExitStack() as stack:
        server = None
        url = options.url
        if settings is None:
            if not options.folder.is_dir():
                raise InvalidSettings(f"--data {options.folder}: there is no such folder; make it")
            server = await stack.enter_async_context(await open_embedded(options.folder))
            url = server.url
        moon = connect(url, context=options.context, agents=types, topology=topology)
        yield Session(await stack.enter_async_context(moon), server)
