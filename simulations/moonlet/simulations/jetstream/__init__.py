"""JetStream as a pure model, and the same as a server inside the process."""

from moonlet.simulations.jetstream.broker import Broker
from moonlet.simulations.jetstream.memory import MemoryServer
from moonlet.simulations.jetstream.model import Model
from moonlet.simulations.jetstream.network import FairNetwork, Network, Packet
from moonlet.simulations.jetstream.port import MemoryJetStream
from moonlet.simulations.jetstream.refusals import NotSimulated

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
