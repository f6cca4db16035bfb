"""JetStream as a pure model, and the same as a server inside the process."""

from moonlet.simulations.jetstream.client.port import MemoryJetStream
from moonlet.simulations.jetstream.model.broker import Broker
from moonlet.simulations.jetstream.model.model import Model
from moonlet.simulations.jetstream.refusals import NotSimulated
from moonlet.simulations.jetstream.server.memory import MemoryServer
from moonlet.simulations.jetstream.server.packets import FairNetwork, Network, Packet

__all__ = [
    "Broker",
    "FairNetwork",
    "MemoryJetStream",
    "MemoryServer",
    "Model",
    "Network",
    "NotSimulated",
    "Packet",
]
