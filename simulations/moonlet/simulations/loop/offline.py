"""What asyncio does with threads, sockets and signals, and what a run does instead."""

from __future__ import annotations

import asyncio
import sys
from asyncio import events
from collections.abc import Callable
from typing import Any, NoReturn, Protocol, TypeVar

from moonlet.simulations.errors import Escape, Impure
from moonlet.simulations.loop.node import EPOCH_NS
from moonlet.simulations.loop.tasks import SimTask
from moonlet.simulations.loop.waits import origin, where

T = TypeVar("T")


class Wire(Protocol):
    """What `asyncio.open_connection` and `start_server` reach in a run, instead of sockets."""

    async def create_connection(
        self,
        factory: Callable[[], asyncio.BaseProtocol],
        host: str | None = None,
        port: int | None = None,
        **options: Any,
    ) -> tuple[asyncio.BaseTransport, asyncio.BaseProtocol]:
        """As `loop.create_connection`."""
        ...

    async def create_server(
        self,
        factory: Callable[[], asyncio.BaseProtocol],
        host: str | None = None,
        port: int | None = None,
        **options: Any,
    ) -> asyncio.AbstractServer:
        """As `loop.create_server`."""
        ...


class OfflineLoop(asyncio.BaseEventLoop):
    """A loop without threads, sockets and signals, which remembers what went wrong in a run.

    `escapes` and `deaths` (a line each) fill up and fail the run at its end. `epoch_ns` is the time
    of day at which the run begins, in nanoseconds since 1970.
    """

    now_ns: int
    epoch_ns: int = EPOCH_NS

    def __init__(self) -> None:
        super().__init__()
        self.wire: Wire | None = None
        self.escapes: list[Escape] = []
        self.deaths: list[str] = []

    def escape(self, call: str, remedy: str, handler: str = "") -> Escape:
        """Note that the current step reached for the real world; the caller raises the result.

        `handler` names the handler of an agent that did, and should not even ask.
        """
        place = where(sys._getframe(1))
        escape = Impure(call, place, remedy, handler) if handler else Escape(call, place, remedy)
        self.escapes.append(escape)
        return escape

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        """Note what died unseen, unless its node is dead too."""
        owner = context.get("task") or context.get("future")
        life = getattr(owner, "life", None)
        if life is None or life.alive:
            name = owner.get_name() if type(owner) is SimTask else ""
            self.note_death(name, context["message"], context.get("exception"))

    def note_death(self, name: str, message: str, error: BaseException | None) -> None:
        """Remember that something died unseen, at this moment."""
        parts = [f"t={self.now_ns / 1e9:.9f}s", name, message]
        if error is not None:
            parts.append(f"{type(error).__name__}: {error}{origin(error)}")
        self.deaths.append(": ".join(filter(None, parts)))

    def run_in_executor(  # type: ignore[override]
        self, executor: object, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        """Run it in a step of its own, in the one thread, outside the running loop."""
        future: asyncio.Future[T] = self.create_future()
        self.call_soon(self._run_inline, future, func, args)
        return future

    def _run_inline(
        self, future: asyncio.Future[T], func: Callable[..., T], args: tuple[Any, ...]
    ) -> None:
        if future.done():
            return
        events._set_running_loop(None)
        try:
            result = func(*args)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            future.set_exception(error)
        else:
            future.set_result(result)
        finally:
            events._set_running_loop(self)

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """There is none."""

    async def create_connection(self, *args: Any, **options: Any) -> Any:
        """Connect through `wire`."""
        if self.wire is None:
            raise self.escape("loop.create_connection()", "give the run a wire (loop.wire)")
        return await self.wire.create_connection(*args, **options)

    async def create_server(self, *args: Any, **options: Any) -> Any:
        """Listen on `wire`."""
        if self.wire is None:
            raise self.escape("loop.create_server()", "give the run a wire (loop.wire)")
        return await self.wire.create_server(*args, **options)

    def _process_events(self, event_list: object) -> None:
        """No event comes from outside."""

    def _write_to_self(self) -> None:
        """Nobody waits in a system call."""


def _fence(name: str) -> Callable[..., NoReturn]:
    def fence(self: OfflineLoop, *args: object, **options: object) -> NoReturn:
        raise self.escape(f"loop.{name}()", "talk through the simulated network and server")

    fence.__name__ = name
    return fence


FENCED = """
    add_reader add_writer remove_reader remove_writer add_signal_handler remove_signal_handler
    connect_accepted_socket connect_read_pipe connect_write_pipe create_datagram_endpoint
    create_unix_connection create_unix_server getaddrinfo getnameinfo sendfile sock_accept
    sock_connect sock_recv sock_recv_into sock_recvfrom sock_recvfrom_into sock_sendall
    sock_sendfile sock_sendto start_tls subprocess_exec subprocess_shell
""".split()

for _name in FENCED:
    setattr(OfflineLoop, _name, _fence(_name))
