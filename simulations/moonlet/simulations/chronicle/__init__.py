"""What is durable in a world, seen as it is stored, and what is still owed.

It judges what hosts and clients claim, so it believes neither: it imports the model of the server
and the loop, and folds by the agents' own code.
"""

from moonlet.simulations.chronicle.chronicle import Chronicle
from moonlet.simulations.chronicle.records import AcceptedCommand, History
from moonlet.simulations.chronicle.unfinished import open_timers, undone

__all__ = [
    "AcceptedCommand",
    "Chronicle",
    "History",
    "open_timers",
    "undone",
]
