"""The model as a server inside the process, and the packets that reach it.

Imports the model, and the simulated loop, on which it is a machine of its own.
"""

from moonlet.simulations.jetstream.server.memory import MemoryServer
from moonlet.simulations.jetstream.server.packets import FairNetwork, Network, Packet

__all__ = [
    "FairNetwork",
    "MemoryServer",
    "Network",
    "Packet",
]
