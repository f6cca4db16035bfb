"""Connections inside a run: what `asyncio.open_connection` and `start_server` reach there."""

import asyncio
import contextvars
import errno
from asyncio import Future
from collections.abc import Callable
from typing import Any, Final

from moonlet.simulations.jetstream.wire.pipe import PipeEnd
from moonlet.simulations.loop import SimLoop, current_node

FIRST_PORT: Final = 40_001  # of the connecting end; each connection has its own
DRIVER: Final = "driver"  # the host of what runs outside all nodes

Factory = Callable[[], asyncio.BaseProtocol]
Address = tuple[str, int]


class Listener(asyncio.AbstractServer):
    """What `create_server` returns; connections that were accepted outlive it."""

    def __init__(
        self, sockets: "Sockets", address: Address, factory: Factory, context: contextvars.Context
    ) -> None:
        self._sockets = sockets
        self.address = address
        self.factory = factory
        self.context = context

    def close(self) -> None:
        """Accept no more."""
        self._sockets.unlisten(self)

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """The run's."""
        return asyncio.get_running_loop()

    def is_serving(self) -> bool:
        """Whether connections are accepted."""
        return self._sockets.listens(self)

    async def start_serving(self) -> None:
        """It serves from the start."""

    async def serve_forever(self) -> None:
        """Wait until cancelled."""
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self.close()

    async def wait_closed(self) -> None:
        """Nothing is left to wait for."""


class Sockets:
    """The `loop.wire` of a run: TCP as programs see it, ordered, and without loss until it breaks.

    Hosts are names of nodes, or any name that somebody listens at. Bytes take one loop step;
    latency and faults are for what runs over it. A factory of a listener that raises `OSError`
    refuses the connection with that error.
    """

    def __init__(self, loop: SimLoop) -> None:
        self._loop = loop
        self._listeners: dict[Address, Listener] = {}
        self._last_port = FIRST_PORT - 1

    def listen(self, address: Address, factory: Factory, context: contextvars.Context) -> Listener:
        """Accept connections to `address`, each as a step of `context`. Raises `OSError`."""
        if address in self._listeners:
            raise OSError(errno.EADDRINUSE, f"somebody listens at {address[0]}:{address[1]}")
        listener = self._listeners[address] = Listener(self, address, factory, context)
        return listener

    def unlisten(self, listener: Listener) -> None:
        """For `Listener.close`."""
        if self.listens(listener):
            del self._listeners[listener.address]

    def listens(self, listener: Listener) -> bool:
        """For `Listener.is_serving`."""
        return self._listeners.get(listener.address) is listener

    async def create_server(
        self,
        factory: Factory,
        host: str | None = None,
        port: int | None = None,
        **options: Any,
    ) -> Listener:
        """See `Wire`; port 0 and several hosts are not offered."""
        self._refuse_tls(options)
        assert isinstance(host, str) and port, "give a host and a port"
        return self.listen((host, port), factory, contextvars.copy_context())

    async def create_connection(
        self,
        factory: Factory,
        host: str | None = None,
        port: int | None = None,
        **options: Any,
    ) -> tuple[PipeEnd, asyncio.BaseProtocol]:
        """See `Wire`. Raises `ConnectionRefusedError`; a dead node's listener never answers."""
        self._refuse_tls(options)
        assert host is not None and port is not None, "give a host and a port"
        made: Future[PipeEnd] = self._loop.create_future()
        listener = self._listeners.get((host, port))
        if listener is None:
            await asyncio.sleep(0)
            raise _refused((host, port))
        node = current_node()
        self._last_port += 1
        mine = (DRIVER if node is None else node.name, self._last_port)
        end = PipeEnd(self._loop, contextvars.copy_context(), mine, listener.address)
        self._loop.call_soon(self._accept, listener, end, mine, made, context=listener.context)
        try:
            await made
        except asyncio.CancelledError:
            if made.done() and not made.cancelled() and made.exception() is None:
                end.abort()
            raise
        return end, end.open(factory)

    def _accept(
        self, listener: Listener, end: PipeEnd, address: Address, made: "Future[PipeEnd]"
    ) -> None:
        if made.cancelled():
            return
        if not self.listens(listener):
            made.set_exception(_refused(listener.address))
            return
        other = PipeEnd(self._loop, listener.context, listener.address, address)
        other.join(end)
        try:
            other.open(listener.factory)
        except OSError as error:
            made.set_exception(error)
            return
        made.set_result(end)

    def _refuse_tls(self, options: dict[str, Any]) -> None:
        if options.get("ssl"):
            raise self._loop.escape("TLS", "connect without encryption")


def _refused(address: Address) -> ConnectionRefusedError:
    return ConnectionRefusedError(
        errno.ECONNREFUSED, f"nobody listens at {address[0]}:{address[1]}"
    )
