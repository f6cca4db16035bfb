"""`connect()`: a client on a real server."""

from collections.abc import Iterable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from moonlet.agents.client import Client
from moonlet.agents.definition import AgentType
from moonlet.core.codec import Encoding
from moonlet.streams import Bus, Topology, open_bus


def connect(
    url: str | None = None,
    *,
    context: str | None = None,
    agents: Iterable[AgentType[Any]] = (),
    topology: Topology | None = None,
    encoding: Encoding = "json",
    folder: Path | None = None,
) -> Client:
    """A client to use as `async with connect() as moon`; nothing happens before.

    The server: `url`, else MOONLET_NATS_URL, else the `nats` CLI's context (`context`, or the
    selected one), else the embedded server of `folder` (default: the working folder), which is
    started if it does not run and then stopped at the end. `agents` are types whose code this
    client should know. `topology` is, if not given, what the server's journals show, and one
    journal for all where it has none. `encoding` is that of commands sent here, and of their
    commits.
    """
    stack = AsyncExitStack()

    async def another(stack: AsyncExitStack) -> Bus:
        return await open_bus(
            stack,
            url,
            context=context,
            folder=folder,
            topology=topology,
            encoding=encoding,
        )

    async def open() -> Bus:
        try:
            return await another(stack)
        except BaseException:
            await stack.aclose()
            raise

    return Client(open, agents=agents, close=stack.aclose, another=another)
