"""What can go wrong in a world: the kinds of faults, a run's plan of them, and its profile.

`faults.all()`, `faults.only("crash", "cut")` and the like say which kinds a test has.
"""

from moonlet.simulations.faults.kinds import (
    HOSTS,
    KINDS,
    SERVER,
    UNSAFE,
    WIRE,
    Fault,
    FaultSet,
    all,
    none,
    only,
)

__all__ = [
    "HOSTS",
    "KINDS",
    "SERVER",
    "UNSAFE",
    "WIRE",
    "Fault",
    "FaultSet",
    "all",
    "none",
    "only",
]
