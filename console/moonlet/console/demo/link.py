"""A link to the server that can be cut: what a network between two sites is to a replica."""

import asyncio
from types import TracebackType
from typing import Final
from urllib.parse import urlsplit

CHUNK: Final = 65_536
"""Bytes passed on at a time."""


class Link:
    """Passes on what comes to `url` to the server, and back; while it is cut nobody gets through.

    Cutting aborts what is open: each end finds its connection lost, not closed.
    """

    def __init__(self, server: str) -> None:
        parts = urlsplit(server)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 4222
        self._is_cut = False
        self._open: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> "Link":
        self._listener = await asyncio.start_server(self._take, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._listener.close()
        self.cut()

    @property
    def url(self) -> str:
        """Where the server seems to be."""
        return f"nats://127.0.0.1:{self._listener.sockets[0].getsockname()[1]}"

    def cut(self) -> None:
        """Break all connections, and let none through from now on."""
        self._is_cut = True
        for writer in self._open:
            writer.transport.abort()

    def mend(self) -> None:
        """Let connections through again."""
        self._is_cut = False

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if not self._is_cut:
                await self._pass(reader, writer)
        except OSError:
            pass  # the server is gone, or the link was cut: the client finds out by itself
        finally:
            writer.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, server = await asyncio.open_connection(self._host, self._port)
        both = {writer, server}
        self._open |= both
        try:
            if self._is_cut:  # meanwhile
                return
            ways = [
                asyncio.ensure_future(_pump(reader, server)),
                asyncio.ensure_future(_pump(there, writer)),
            ]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
        finally:
            self._open -= both
            server.transport.abort()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(CHUNK):
        writer.write(data)
        await writer.drain()
