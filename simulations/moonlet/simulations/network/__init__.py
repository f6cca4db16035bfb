"""The wires of a world: what travels on them, what it is about, and what faults do to it.

Imports the faults' plan, the loop, and the seam of packets that the server offers.
"""

from moonlet.simulations.network.connection import SimConnection
from moonlet.simulations.network.labels import PacketLabels
from moonlet.simulations.network.network import Rule, SimNetwork

__all__ = [
    "PacketLabels",
    "Rule",
    "SimConnection",
    "SimNetwork",
]
