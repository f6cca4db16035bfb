"""A world: its state, the verbs that hurt it, the phases it goes through, how it stands.

It puts the other rooms' parts together and hands each what it needs; scenarios and what runs them
stand above it.
"""

from moonlet.simulations.world.standing import Standing, lines_of, standing_of
from moonlet.simulations.world.world import World

__all__ = [
    "Standing",
    "World",
    "lines_of",
    "standing_of",
]
