"""The console as a server: a port, the guard, and what is behind it, until it is closed."""

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Final

import msgspec
import uvicorn

from moonlet.core.errors import InvalidSettings, Unavailable
from moonlet.web.guard import Access, WebGuard
from moonlet.web.live import LiveTail
from moonlet.web.page import page_files
from moonlet.web.reading import SystemReader, WebSystem
from moonlet.web.routes import routes_of

CONNECTIONS_MAX: Final = 256
"""Requests and streams at a time; further ones are answered with 503."""

STOP_SECONDS: Final = 1
"""Seconds that open answers have at the end; streams never end by themselves."""


class WebAddress(msgspec.Struct, frozen=True):
    """Where to serve. Beyond this machine only with TLS: `certificate` and `key` are PEM files.

    `name` is what browsers call it there, if that is not `host`; port 0 takes a free one.
    """

    host: str = "127.0.0.1"
    port: int = 0
    name: str = ""
    certificate: Path | None = None
    key: Path | None = None

    def check(self) -> None:
        """Raises `InvalidSettings` for what would show the system to others in the open."""
        if (self.certificate is None) is not (self.key is None):
            raise InvalidSettings("TLS needs both --certificate and --key")
        for file in (self.certificate, self.key):
            if file is not None and not file.is_file():
                raise InvalidSettings(f"there is no file {file}: name a PEM file")
        if not self.is_local and self.certificate is None:
            raise InvalidSettings(
                f"--host {self.host} is not this machine alone: what is shown there would travel in"
                " the open. Give --certificate and --key, or leave --host out and come by ssh -L"
            )
        if not self.is_local and self._is_any and not self.name:
            raise InvalidSettings(
                f"--host {self.host} is every address: say with --name what browsers call it"
            )

    @property
    def is_local(self) -> bool:
        """Whether only this machine reaches it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def _is_any(self) -> bool:
        try:
            return ipaddress.ip_address(self.host).is_unspecified
        except ValueError:
            return False

    def names(self, port: int) -> list[str]:
        """`host:port` as browsers write it, the one to print first."""
        own = self.name or (f"[{self.host}]" if ":" in self.host else self.host)
        local = ["127.0.0.1", "localhost", "[::1]"] if self.is_local else []
        found = [f"{name}:{port}" for name in dict.fromkeys([own, *local])]
        return found + ([own] if port == 443 and self.certificate is not None else [])


class WebConsole:
    """Serves while it is open: `async with WebConsole(system, address) as console`.

    `console.access.address` lets one browser in; `entered` is called when it was used. Raises
    `InvalidSettings`, and `Unavailable` if the port is taken. Nothing is left behind.
    """

    def __init__(
        self, system: WebSystem, address: WebAddress, entered: Callable[[], None] = lambda: None
    ) -> None:
        address.check()
        self._address = address
        self._system = system
        self._entered = entered
        self.access: Access

    async def __aenter__(self) -> "WebConsole":
        address = self._address
        listener = listen(address)
        port = listener.getsockname()[1]
        tls = address.certificate is not None
        self.access = Access(address.names(port), port, tls=tls)
        self._reader = SystemReader(self._system)
        routes = routes_of(self._reader, LiveTail(self._system.source), page_files())
        config = uvicorn.Config(
            WebGuard(routes, self.access, self._entered),
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            proxy_headers=False,
            ws="none",
            limit_concurrency=CONNECTIONS_MAX,
            timeout_graceful_shutdown=STOP_SECONDS,
            ssl_certfile=address.certificate,
            ssl_keyfile=address.key,
        )
        try:
            config.load()
        except OSError as error:
            listener.close()
            raise InvalidSettings(f"the certificate or key can't be used: {error}") from None
        self._server = _Server(config)
        self._task = asyncio.create_task(self._server.serve([listener]), name="web: server")
        if self._reader.hosts is not None:
            await self._reader.hosts.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._reader.hosts is not None:
            await self._reader.hosts.__aexit__()
        self._server.should_exit = True
        await self._task
        self._reader.close()


class _Server(uvicorn.Server):
    """Leaves signals to whoever runs it."""

    @contextlib.contextmanager
    def capture_signals(self):  # type: ignore[no-untyped-def]
        """None are taken."""
        yield


def listen(address: WebAddress) -> socket.socket:
    """A socket that takes connections; raises `Unavailable` if the port is taken."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    # By its protocol's number asyncio knows that small answers must not wait for each other.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address.host, address.port))
        listener.listen()  # whoever comes from now on waits for the server to start
    except OSError as error:
        listener.close()
        raise Unavailable(
            f"port {address.port} of {address.host} can't be had ({error.strerror or error}):"
            " choose another with --port, or 0 for a free one"
        ) from None
    return listener
