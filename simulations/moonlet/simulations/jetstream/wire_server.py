"""`MemoryServer` by bytes: what an unmodified NATS client meets inside a run."""

import asyncio
from typing import Any, Final

import msgspec

from moonlet.simulations.jetstream.memory import MemoryServer
from moonlet.simulations.jetstream.network import Packet
from moonlet.simulations.jetstream.refusals import NotSimulated
from moonlet.simulations.jetstream.subjects import is_valid
from moonlet.simulations.jetstream.wire import Address, Listener, Sockets
from moonlet.simulations.jetstream.wire_protocol import (
    Connect,
    Operation,
    Reader,
    Violation,
    deliver,
)
from moonlet.simulations.loop import SimLoop

HOST: Final = "nats"
PORT: Final = 4222
_FIRST: Final = 1  # the session of a connection: a new connection is a new client


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
        self._greeted = False

    def connection_made(self, transport: Any) -> None:
        """Say who we are, or refuse while the server is down."""
        self._transport = transport
        node, port = transport.get_extra_info("peername")
        self._name = f"{node}:{port}"
        if not self._server.attach(self._name, _FIRST, self._arrive, self._lost):
            raise ConnectionRefusedError(f"the server at {self._address} is down")
        self._send_info(port)

    def connection_lost(self, error: Exception | None) -> None:
        """The client left, or we hung up."""
        self._server.detach(self._name)

    def data_received(self, data: bytes) -> None:
        """Handle what is complete of what the client sent."""
        try:
            for operation in self._reader.read(data):
                self._handle(operation)
        except Violation as violation:
            if violation.text:
                self._say(violation.text)
            self._transport.close()
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
        elif verb == "SUB":
            if not is_valid(operation.subject):
                self._say("Invalid Subject")
                return
            self._send("subscribe", number=number, subject=operation.subject, queue=operation.queue)
        elif verb == "UNSUB":
            self._send("unsubscribe", number=number)
        elif verb == "PING":
            self._send("ping", number=0 if self._greeted else 1)
            self._greeted = True

    def _send(self, kind: Any, **facts: Any) -> None:
        self._server.carry(Packet(self._name, _FIRST, True, kind, **facts))

    def _arrive(self, packet: Packet) -> None:
        """Hand on what the server has for the client."""
        if self._transport.is_closing():
            return
        message = packet.message
        if message is None:
            self._transport.write(b"PONG\r\n")
            if packet.number:
                self._send_info(self._name.rpartition(":")[2], connected=True)
        elif message.headers and message.headers.get("Status") == "501":
            self._fail(NotSimulated(message.data.decode()))
        else:
            self._transport.write(deliver(message, packet.number))

    def _send_info(self, client: object, *, connected: bool = False) -> None:
        host, port = self._address
        info: dict[str, Any] = {
            "server_id": "SIMULATED",
            "server_name": "SIMULATED",
            "version": self._server.version,
            "proto": 1,
            "host": host,
            "port": port,
            "headers": True,
            "max_payload": self._server.max_payload,
            "jetstream": True,
            "client_id": int(str(client)),
            "client_ip": self._name.rpartition(":")[0],
        }
        if connected:
            info |= {"connect_info": True, "remote_account": "$G"}
        self._transport.write(b"INFO " + msgspec.json.encode(info) + b" \r\n")

    def _say(self, text: str) -> None:
        self._transport.write(f"-ERR '{text}'\r\n".encode())

    def _fail(self, error: NotSimulated) -> None:
        """The run is worthless from here on: say so to everybody."""
        self._loop.call_exception_handler(
            {"message": f"the client {self._name} went beyond the model", "exception": error}
        )
        self._say(str(error).replace("'", "`"))
        self._transport.close()

    def _lost(self) -> None:
        """The server ended the connection."""
        self._transport.abort()


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
