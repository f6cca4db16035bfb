"""The server by bytes: what an unmodified NATS client meets inside a run.

Imports the server, and the simulated loop, whose sockets it is.
"""

from moonlet.simulations.jetstream.wire.pipe import HIGH_WATER
from moonlet.simulations.jetstream.wire.protocol import Operation, ProtocolViolation, Reader
from moonlet.simulations.jetstream.wire.server import HOST, PORT, serve
from moonlet.simulations.jetstream.wire.sockets import Sockets

__all__ = [
    "HIGH_WATER",
    "HOST",
    "PORT",
    "Operation",
    "ProtocolViolation",
    "Reader",
    "Sockets",
    "serve",
]
