"""The wire against the model: the operations that real servers are compared by, sent as bytes.

`MOONLET_FIDELITY_WIRE_OPS` sets how many (2,000), on one server and on a cluster each.
"""

import asyncio
import os
import socket
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest

from moonlet.simulations import SimLoop
from moonlet.simulations.jetstream import MemoryServer
from moonlet.simulations.jetstream.wire import HOST, PORT, serve
from tests.simulations.jetstream import raw_client, targets
from tests.simulations.jetstream.test_fidelity import SEED, compare

T = TypeVar("T")

OPERATIONS = int(os.environ.get("MOONLET_FIDELITY_WIRE_OPS", "2000"))
LATENCY = 0.000_1  # s


class World:
    """A loop with a simulated server on it, and what the blocking client takes for the world."""

    def __init__(self, servers: int) -> None:
        self.loop = SimLoop()
        self.run(self._serve(servers))

    async def _serve(self, servers: int) -> None:
        serve(MemoryServer(servers=servers, commit_latency=10_000 if servers > 1 else 0))

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Let the world go on until this is done."""
        return self.loop.run_until_complete(coroutine)

    def sleep(self, seconds: float) -> None:
        """In the place of `time.sleep`."""
        self.run(asyncio.sleep(seconds))

    def monotonic(self) -> float:
        """In the place of `time.monotonic`."""
        return self.loop.time()

    def create_connection(self, address: tuple[str, int], timeout: float) -> "BlockingSocket":
        """In the place of `socket.create_connection`."""
        return BlockingSocket(self, *self.run(asyncio.open_connection(*address)))


class BlockingSocket:
    """A socket as the blocking client uses it: the world goes on while it waits."""

    def __init__(
        self, world: World, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._world = world
        self._reader = reader
        self._writer = writer
        self._timeout = 0.0

    def setsockopt(self, *_: object) -> None: ...

    def settimeout(self, timeout: float) -> None:
        self._timeout = timeout

    def sendall(self, data: bytes) -> None:
        self._writer.write(data)
        self._world.sleep(LATENCY)

    def recv(self, size: int) -> bytes:
        async def receive() -> bytes:
            async with asyncio.timeout(self._timeout):
                return await self._reader.read(size)

        return self._world.run(receive())

    def close(self) -> None:
        self._writer.close()


@pytest.mark.parametrize("replicas", [1, 3])
def test_the_wire_does_what_the_model_does(replicas: int, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(servers=replicas)
    monkeypatch.setattr(socket, "create_connection", world.create_connection)
    monkeypatch.setattr(raw_client, "time", world)
    monkeypatch.setattr(targets, "time", world)
    url = f"nats://{HOST}:{PORT}"
    try:
        assert compare(url, SEED, 0, OPERATIONS, replicas=replicas) >= OPERATIONS
        assert world.loop.deaths == [] and world.loop.escapes == []
    finally:
        world.loop.close()
