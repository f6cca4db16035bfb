"""A few pages over HTTP for those who watch a process: on this machine alone, and only to read.

Of HTTP this is what a scraper and a probe need: one GET or HEAD a connection. A library would
bring a hundred modules into each host for that.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Final, NamedTuple

from moonlet.core.errors import InvalidSettings, Unavailable
from moonlet.telemetry.log import get_logger

log = get_logger(__name__)

HEAD_MAX: Final = 8_192
"""Bytes of a request's head."""

HEAD_SECONDS: Final = 5.0
"""Seconds that it may take to come, and the answer to leave."""

CONNECTIONS_MAX: Final = 32
"""Connections at a time; further ones are closed at once."""

_NAMES: Final = ("127.0.0.1", "localhost", "[::1]")


class PageText(NamedTuple):
    """What is answered: status, type, text."""

    status: int
    content_type: str
    text: str


class Endpoint:
    """Pages by path, on a port of 127.0.0.1; 0 takes a free one. `address` says where.

    A page is made in the loop, anew for each request. One that fails is answered with 500.
    """

    def __init__(self, pages: Mapping[str, Callable[[], PageText]], port: int) -> None:
        if type(port) is not int or not 0 <= port <= 65_535:
            raise InvalidSettings(f"port {port!r}: give 0 (a free one) to 65535")
        self._pages = pages
        self._port = port
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen; raises `Unavailable` if the port is taken."""
        try:
            self._server = await asyncio.start_server(
                self._serve, "127.0.0.1", self._port, limit=HEAD_MAX
            )
        except OSError as error:
            raise Unavailable(
                f"port {self._port} of 127.0.0.1 can't be had ({error.strerror}): choose another,"
                " or 0 for a free one"
            ) from None

    @property
    def address(self) -> str:
        """`http://127.0.0.1:PORT`."""
        assert self._server is not None, "not started"
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def close(self) -> None:
        """Listen no more; who is being answered is cut off. Twice is harmless."""
        server, self._server = self._server, None
        if server is None:
            return
        server.close()
        for task in list(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)
        await server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            with contextlib.suppress(OSError, TimeoutError, asyncio.CancelledError):
                if len(self._open) <= CONNECTIONS_MAX:
                    async with asyncio.timeout(HEAD_SECONDS):
                        writer.write(await self._answer(reader))
                        await writer.drain()
        finally:
            self._open.discard(task)
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader) -> bytes:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        except asyncio.LimitOverrunError:
            return _response(_plain(431, f"a head of more than {HEAD_MAX} bytes"))
        except asyncio.IncompleteReadError:
            return _response(_plain(400, "the request ended before its head did"))
        first, *fields = head.split("\r\n")
        parts = first.split(" ")
        if len(parts) != 3 or not parts[2].startswith("HTTP/1."):
            return _response(_plain(400, "this is no request of HTTP/1.1"))
        method, target, _ = parts
        if method not in ("GET", "HEAD"):
            return _response(_plain(405, "GET and HEAD alone"))
        if not _is_for_us(fields):
            return _response(_plain(421, "only by the name of this machine itself"))
        return _response(self._page(target.partition("?")[0]), body=method == "GET")

    def _page(self, path: str) -> PageText:
        make = self._pages.get(path)
        if make is None:
            return _plain(404, f"there are {', '.join(sorted(self._pages))}")
        try:
            return make()
        except Exception as error:
            log.error("a page could not be made", path=path, exc_info=error)
            return _plain(500, f"it could not be made: {error!r}; report this bug")


def _is_for_us(fields: list[str]) -> bool:
    """Whether it was sent to a name of this machine: a web page's own name may lead here too."""
    for field in fields:
        name, _, value = field.partition(":")
        if name.strip().lower() == "host":
            host = value.strip().lower()
            return host in _NAMES or host.rpartition(":")[0] in _NAMES
    return True


def _plain(status: int, text: str) -> PageText:
    return PageText(status, "text/plain; charset=utf-8", text + "\n")


def _response(page: PageText, *, body: bool = True) -> bytes:
    data = page.text.encode()
    head = (
        f"HTTP/1.1 {page.status} {HTTPStatus(page.status).phrase}\r\n"
        f"Content-Type: {page.content_type}\r\nContent-Length: {len(data)}\r\n"
        "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + (data if body else b"")
