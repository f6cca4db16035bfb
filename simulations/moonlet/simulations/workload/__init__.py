"""Commands from the seed, of the messages that the world's agents take.

Imports chance, and what an agent type says of its messages.
"""

from moonlet.simulations.workload.drawing import draw
from moonlet.simulations.workload.workload import Workload

__all__ = [
    "Workload",
    "draw",
]
