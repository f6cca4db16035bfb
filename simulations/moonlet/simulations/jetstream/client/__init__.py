"""The client's side of a connection to a server in memory: the port of `moonlet.streams.api`.

Imports the server, to which it sends packets.
"""

from moonlet.simulations.jetstream.client.connection import Connection
from moonlet.simulations.jetstream.client.port import MemoryJetStream, contract_opener

__all__ = [
    "Connection",
    "MemoryJetStream",
    "contract_opener",
]
