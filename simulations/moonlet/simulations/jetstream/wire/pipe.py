"""The two ends of a connection inside a run: asyncio transports without sockets between them."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Iterable
from typing import Any, Final

from moonlet.simulations.loop import LIFE

HIGH_WATER: Final = 65_536  # bytes under way at which a writer is asked to pause, as asyncio's own


class PipeEnd(asyncio.Transport):
    """One end. What is written reaches the other end's protocol one loop step later, as one piece.

    `context` is that of the process at this end: all that happens to its protocol is a step of it,
    so what a dead node had written still arrives, and nothing arrives at a dead node.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        context: contextvars.Context,
        address: tuple[str, int],
        peer_address: tuple[str, int],
    ) -> None:
        super().__init__({"sockname": address, "peername": peer_address})
        self._loop = loop
        self._context = context
        self._life = context.get(LIFE)
        self._protocol: Any = None
        self._peer: PipeEnd
        self._arrived: list[bytes] = []
        self._bytes_arrived = 0
        self._eof_arrived = False
        self._scheduled = False
        self._reading = False
        self._eof_written = False
        self._closing = False
        self._writer_paused = False

    def join(self, peer: PipeEnd) -> None:
        """Make these two the ends of one connection."""
        self._peer, peer._peer = peer, self

    def open(self, factory: Callable[[], asyncio.BaseProtocol]) -> asyncio.BaseProtocol:
        """Make this end's protocol and begin to read."""
        self._protocol = factory()
        self._protocol.connection_made(self)
        self.resume_reading()
        protocol: asyncio.BaseProtocol = self._protocol
        return protocol

    def _is_dead(self) -> bool:
        """Whether the process at this end is: its garbage must not close anything any more."""
        return self._life is not None and not self._life.alive

    # what the process at this end does

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """See `asyncio.WriteTransport`; after `close` nothing is sent any more."""
        assert not self._eof_written, "written after write_eof()"
        if self._closing or not data or self._is_dead():
            return
        peer = self._peer
        if peer._is_dead():
            self._reset()  # as the machine of a dead process answers
            return
        peer._arrived.append(bytes(data))
        peer._bytes_arrived += len(data)
        peer._arrive_later()
        if peer._bytes_arrived > HIGH_WATER and not self._writer_paused:
            self._writer_paused = True
            self._protocol.pause_writing()

    def writelines(self, list_of_data: Iterable[Any]) -> None:
        """See `asyncio.WriteTransport`."""
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        """It can."""
        return True

    def write_eof(self) -> None:
        """Send the end of this direction after what was written; twice is harmless."""
        if not self._eof_written and not self._closing and not self._is_dead():
            self._eof_written = True
            self._send_eof()

    def close(self) -> None:
        """End the connection after what was written."""
        if not self._closing and not self._is_dead():
            self._send_eof()
            self._end(None)

    def abort(self) -> None:
        """Reset the connection: what the other end hasn't taken yet is lost."""
        if not self._closing and not self._is_dead():
            self._end(None)
            self._peer._reset()

    def is_closing(self) -> bool:
        """See `asyncio.BaseTransport`; what a dead process had open is no leak."""
        return self._closing or self._is_dead()

    def pause_reading(self) -> None:
        """Leave what arrives where it is."""
        self._reading = False

    def resume_reading(self) -> None:
        """Take what arrives again."""
        self._reading = True
        if self._arrived or self._eof_arrived:
            self._arrive_later()

    def is_reading(self) -> bool:
        """See `asyncio.ReadTransport`."""
        return self._reading and not self._closing

    def get_write_buffer_size(self) -> int:
        """How many bytes the other end hasn't taken yet."""
        return self._peer._bytes_arrived

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """See `asyncio.BaseTransport`."""
        self._protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        """See `asyncio.BaseTransport`."""
        protocol: asyncio.BaseProtocol = self._protocol
        return protocol

    # what the other end does

    def _arrive_later(self) -> None:
        if self._reading and not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._arrive, context=self._context)

    def _arrive(self) -> None:
        self._scheduled = False
        if self._closing:
            if self._arrived:  # as a kernel answers what comes for a socket that is closed
                self._arrived.clear()
                self._peer._reset()
            return
        if not self._reading:
            return
        if self._arrived:
            data = b"".join(self._arrived)
            self._arrived.clear()
            self._bytes_arrived = 0
            self._peer._unpause()
            self._protocol.data_received(data)
        if self._eof_arrived and not self._closing and self._reading and not self._arrived:
            self._eof_arrived = False
            if not self._protocol.eof_received():
                self.close()

    def _unpause(self) -> None:
        if self._writer_paused:
            self._writer_paused = False
            self._loop.call_soon(self._resume_writing, context=self._context)

    def _resume_writing(self) -> None:
        if not self._closing:
            self._protocol.resume_writing()

    def _send_eof(self) -> None:
        self._peer._eof_arrived = True
        self._peer._arrive_later()

    def _reset(self) -> None:
        self._arrived.clear()
        self._bytes_arrived = 0
        if not self._closing:
            self._end(ConnectionResetError("the other end reset the connection"))

    def _end(self, error: Exception | None) -> None:
        self._closing = self._reading = True  # for what still comes, to be refused
        self._loop.call_soon(self._lose, error, context=self._context)

    def _lose(self, error: Exception | None) -> None:
        if self._protocol is not None:
            self._protocol.connection_lost(error)
