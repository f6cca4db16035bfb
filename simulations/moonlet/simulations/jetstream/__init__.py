"""JetStream as a pure model, and the same as a server inside the process.

Rooms for a stream, a consumer, the model around them, the server, a client in memory, and the wire
that an unmodified client meets (`jetstream.wire`, entered by its own door). Beside them stands what
all of them know: configurations, headers, subjects, refusals, the store. Imports the simulated
loop, and of `moonlet.streams` the seam `api`; `tests/simulations/jetstream` holds it to a real
server's record.
"""

from moonlet.simulations.jetstream.client import MemoryJetStream, contract_opener
from moonlet.simulations.jetstream.configs import StreamConfig, read_stream
from moonlet.simulations.jetstream.model import Broker, Model
from moonlet.simulations.jetstream.refusals import NotSimulated
from moonlet.simulations.jetstream.server import FairNetwork, MemoryServer, Network, Packet
from moonlet.simulations.jetstream.store import MessageStore, StreamMessage, restored

__all__ = [
    "Broker",
    "FairNetwork",
    "MemoryJetStream",
    "MemoryServer",
    "MessageStore",
    "Model",
    "Network",
    "NotSimulated",
    "Packet",
    "StreamConfig",
    "StreamMessage",
    "contract_opener",
    "read_stream",
    "restored",
]
