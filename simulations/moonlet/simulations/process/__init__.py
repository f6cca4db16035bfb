"""The processes of a world: hosts and clients on nodes, with clocks, dice and connections.

What runs in them is the real code of `streams` and `agents`. Imports the network, the server and
the loop; `Surroundings` is all that a process knows of its world.
"""

from moonlet.simulations.process.blocks import Blocks
from moonlet.simulations.process.client import SimClient
from moonlet.simulations.process.host import SimHost, all_owned, busy
from moonlet.simulations.process.process import SimProcess
from moonlet.simulations.process.surroundings import Surroundings

__all__ = [
    "Blocks",
    "SimClient",
    "SimHost",
    "SimProcess",
    "Surroundings",
    "all_owned",
    "busy",
]
