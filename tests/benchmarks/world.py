"""A real server for one work, and both sides' way to it: the same process kind, equal streams."""

import asyncio
import gc
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import nats
from nats.aio.client import Client as NatsClient

from moonlet.agents import Client, connect
from moonlet.core.commit import Command, Commit, Event
from moonlet.core.envelope import Envelope
from moonlet.core.hlc import Timestamp
from moonlet.streams import Topology, encode_commit, encode_envelope
from moonlet.streams.server.embedded import configuration
from moonlet.streams.server.server_process import ServerProcess, find_server

WINDOW = 1_000
"""Commands on their way from the client at a time, on either side."""


def topology(prefix: str) -> Topology:
    """The streams of both sides: mailboxes so large that the one hot agent's never fills."""
    return Topology(prefix=prefix, mailbox=1_000_000)


class World:
    """A server, nats-py's client on it, and fresh streams whenever asked."""

    def __init__(self, url: str, nc: NatsClient) -> None:
        self.url = url
        self.nc = nc
        self._count = 0

    def prefix(self) -> str:
        """A prefix not used before."""
        self._count += 1
        return f"b{self._count}"

    def moon(self, prefix: str) -> Client:
        """A Moonlet client on streams of its own."""
        return connect(self.url, topology=topology(prefix))

    async def api(self, call: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """One call of the server's JSON API through nats-py."""
        data = msgspec.json.encode(body) if body is not None else b""
        answer = await self.nc.request(f"$JS.API.{call}", data, timeout=10)
        decoded: dict[str, Any] = msgspec.json.decode(answer.data)
        if "error" in decoded:
            raise RuntimeError(f"{call}: {decoded['error']}")
        return decoded

    async def create_streams(self, prefix: str, *names: str) -> None:
        """Streams with Moonlet's own configuration, for the baseline."""
        for config in topology(prefix).configs():
            if config["name"].removeprefix(f"{prefix}-") in names:
                await self.api(f"STREAM.CREATE.{config['name']}", config)

    async def messages(self, stream: str) -> int:
        """How many messages a stream holds."""
        info = await self.api(f"STREAM.INFO.{stream}")
        return int(info["state"]["messages"])

    async def emptied(self, stream: str) -> None:
        """Wait until all messages of a work queue are acknowledged."""
        while await self.messages(stream):  # noqa: ASYNC110 - the server tells nobody
            await asyncio.sleep(0.002)

    async def remove(self, prefix: str) -> None:
        """Delete the streams of a prefix."""
        names = await self.api("STREAM.NAMES")
        for name in names.get("streams") or ():
            if name.startswith((f"{prefix}-", f"KV_{prefix}-")):
                await self.api(f"STREAM.DELETE.{name}")


@asynccontextmanager
async def world(*, fsync: bool) -> AsyncIterator[World]:
    """A fresh server, stopped at the end."""
    with tempfile.TemporaryDirectory(prefix="moonlet-bench-") as folder:
        config = configuration(Path(folder) / "data", fsync=fsync)
        server = ServerProcess(find_server(), Path(folder) / "server", config)
        server.start()
        try:
            nc = await nats.connect(server.url)
            try:
                yield World(server.url, nc)
            finally:
                await nc.close()
        finally:
            server.stop()


async def pipelined(count: int, senders: int, send: Callable[[int], Any]) -> None:
    """`count` sends, as many as `senders` at a time; sender i does i, i + senders, …"""

    async def sender(first: int) -> None:
        for index in range(first, count, senders):
            await send(index)

    await asyncio.gather(*(sender(first) for first in range(min(senders, count))))


class Stopwatch:
    """Seconds between `start` and `stop`, with the garbage of what came before collected first."""

    def __init__(self) -> None:
        gc.collect()
        self._began = time.perf_counter()

    def stop(self) -> float:
        """Seconds since it was made."""
        return time.perf_counter() - self._began


def sizes() -> tuple[int, int]:
    """Bytes of a command's and a commit's message as Moonlet stores them in these benchmarks."""
    session = "c-" + "x" * 22
    id = f"{session}.account.a500.medium.10"
    body = msgspec.Raw(b'{"amount":5}')
    envelope = Envelope(
        id=id, agent="account/a500", name="Deposit", body=body, sender=session, number=10
    )
    commit: Commit[Any] = Commit(
        agent="account/a500",
        revision=10,
        outcome="accepted",
        command=Command(id=id, name="Deposit", body=body, sequence=5_000, sender=session, number=9),
        time=Timestamp(time.time_ns() // 1_000, 0),
        events=(Event("Deposited", body),),
        reply=msgspec.Raw(b"50"),
        app_version="0.1.0",
        previous_digest="0" * 32,
        dispatched=9,
    )
    return len(encode_envelope(envelope, "json", 10**6)[0]), len(
        encode_commit(commit, "json")[0][0]
    )
