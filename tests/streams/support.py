"""What the tests of the real connection share."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from moonlet.streams.nats import connection
from moonlet.streams.nats.jetstream import NatsJetStream
from moonlet.streams.server.server_process import ServerProcess
from moonlet.streams.settings import from_url


@asynccontextmanager
async def connected(server: ServerProcess, userinfo: str = "") -> AsyncIterator[NatsJetStream]:
    """A connection to `server`, as `userinfo` (user:password) if given."""
    url = server.url.replace("://", f"://{userinfo}@") if userinfo else server.url
    js = await connection.open(from_url(url, "test"))
    try:
        yield js
    finally:
        await js.close()


async def eventually(
    condition: Callable[[], bool | Awaitable[bool]], *, timeout: float = 10.0
) -> None:
    """Wait until `condition` holds; fail after `timeout` seconds."""
    async with asyncio.timeout(timeout):
        while True:
            held = condition()
            if not isinstance(held, bool):
                held = await held
            if held:
                return
            await asyncio.sleep(0.01)


async def restart(server: ServerProcess) -> None:
    """`kill -9` the server and start it again on its ports and its store."""
    await asyncio.to_thread(server.kill)
    await asyncio.to_thread(server.start)
