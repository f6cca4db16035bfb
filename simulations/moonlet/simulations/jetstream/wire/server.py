"""`MemoryServer` by bytes: what an unmodified NATS client meets inside a run."""

import asyncio
from typing import Any, Final

import msgspec

from moonlet.simulations.jetstream.refusals import NotSimulated
from moonlet.simulations.jetstream.server import MemoryServer, Packet
from moonlet.simulations.jetstream.subjects import is_valid
from moonlet.simulations.jetstream.wire.protocol import (
    Connect,
    Operation,
    ProtocolViolation,
    Reader,
    deliver,
)
from moonlet.simulations.jetstream.wire.sockets import Address, Listener, Sockets
from moonlet.simulations.loop import SimLoop

HOST: Final = "nats"
PORT: Final = 4222
_FIRST: Final = 1  # the session of a connection: a new connection is a new client
_HANG_UP: Final = b""


def serve(server: MemoryServer, *, host: str = HOST, port: int = PORT) -> Listener:
    """Let NATS clients of the running `SimLoop` reach `server` at nats://host:port.

    The loop gets a wire if it has none. A client is called by its node and the port that it
    connects from (`h1:40001`), and what it sends and gets are the packets of `server.network`.
    """
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SimLoop), "bytes are simulated on a SimLoop only"
    if loop.wire is None:
        loop.wire = Sockets(loop)
    assert isinstance(loop.wire, Sockets), "the run has a wire of its own"
    address = host, port
    return loop.wire.listen(address, lambda: _Session(server, address), loop.outside)


class _Session(asyncio.Protocol):
    """One connection of a client, at the server."""

    def __init__(self, server: MemoryServer, address: Address) -> None:
        self._server = server
        self._address = address
        self._loop = asyncio.get_running_loop()
        self._reader = Reader(server.max_payload)
        self._transport: asyncio.Transport
        self._name = ""
        self._introduced = False
        self._numbers: set[int] = set()
        # What is said when the ping of that number has come back: after all that came before it.
        self._replies: dict[int, list[bytes]] = {}
        self._pings = 0
        self._refused = False

    def connection_made(self, transport: Any) -> None:
        """Say who we are, or refuse while the server is down."""
        self._transport = transport
        node, port = transport.get_extra_info("peername")
        self._name = f"{node}:{port}"
        if not self._server.attach(self._name, _FIRST, self._arrive, self._lost):
            raise ConnectionRefusedError(f"the server at {self._address} is down")
        transport.write(self._info(connected=False))

    def connection_lost(self, error: Exception | None) -> None:
        """The client left, or we hung up."""
        self._server.detach(self._name)

    def data_received(self, data: bytes) -> None:
        """Handle what is complete of what the client sent."""
        if self._refused:
            return
        try:
            for operation in self._reader.read(data):
                self._handle(operation)
        except ProtocolViolation as violation:
            self._refused = True
            self._say_in_turn(*([_error(violation.text)] if violation.text else []), _HANG_UP)
        except NotSimulated as error:
            self._fail(error)

    def _handle(self, operation: Operation) -> None:
        verb, number = operation.verb, operation.number
        if operation.connect is not None:
            _check(operation.connect)
            self._introduced = True
        elif not self._introduced:
            raise NotSimulated("clients that don't begin with CONNECT")
        elif verb == "PUB":
            self._send("message", message=operation.message)
        elif verb == "SUB" and not is_valid(operation.subject):
            self._say_in_turn(_error("Invalid Subject"))
        elif verb == "SUB":
            if number not in self._numbers:  # of a number that is taken, nothing is heard
                self._numbers.add(number)
                subject, queue = operation.subject, operation.queue
                self._send("subscribe", number=number, subject=subject, queue=queue)
        elif verb == "UNSUB":
            self._numbers.discard(number)
            self._send("unsubscribe", number=number)
        elif verb == "PING":
            self._say_in_turn(
                b"PONG\r\n", *([self._info(connected=True)] if not self._pings else [])
            )

    def _send(self, kind: Any, **facts: Any) -> None:
        self._server.carry(Packet(self._name, _FIRST, True, kind, **facts))

    def _arrive(self, packet: Packet) -> None:
        """Hand on what the server has for the client."""
        if self._transport.is_closing():
            return
        message = packet.message
        if message is None:
            for reply in self._replies.pop(packet.number):
                if reply is _HANG_UP:
                    self._transport.close()
                else:
                    self._transport.write(reply)
        elif message.headers and message.headers.get("Status") == "501":
            self._fail(NotSimulated(message.data.decode()))
        else:
            self._transport.write(deliver(message, packet.number))

    def _say_in_turn(self, *replies: bytes) -> None:
        """Say this after what comes of all that the client sent before."""
        self._pings += 1
        self._replies[self._pings] = list(replies)
        self._send("ping", number=self._pings)

    def _info(self, *, connected: bool) -> bytes:
        client, _, port = self._name.rpartition(":")
        info: dict[str, Any] = {
            "server_id": "SIMULATED",
            "server_name": "SIMULATED",
            "version": self._server.version,
            "proto": 1,
            "host": self._address[0],
            "port": self._address[1],
            "headers": True,
            "max_payload": self._server.max_payload,
            "jetstream": True,
            "client_id": int(port),
            "client_ip": client,
        }
        if connected:
            info |= {"connect_info": True, "remote_account": "$G"}
        return b"INFO " + msgspec.json.encode(info) + b" \r\n"

    def _fail(self, error: NotSimulated) -> None:
        """The run is worthless from here on: say so to everybody."""
        self._loop.call_exception_handler(
            {"message": f"the client {self._name} went beyond the model", "exception": error}
        )
        self._transport.write(_error(str(error).replace("'", "`")))
        self._transport.close()

    def _lost(self) -> None:
        """The server ended the connection."""
        self._transport.abort()


def _error(text: str) -> bytes:
    return f"-ERR '{text}'\r\n".encode()


def _check(connect: Connect) -> None:
    """Raise `NotSimulated` for a client that wants what we don't have."""
    wrong = [
        name
        for name, is_right in (
            ("verbose", not connect.verbose),
            ("pedantic", not connect.pedantic),
            ("no echo", connect.echo),
            ("no headers", connect.headers),
            ("no notice of missing responders", connect.no_responders),
            ("TLS", not connect.tls_required),
        )
        if not is_right
    ]
    if wrong:
        raise NotSimulated(f"clients that want {', '.join(wrong)}")
