"""What can go wrong in a world: the kinds of faults, a run's plan of them, and its profile.

`faults.all()`, `faults.only("crash", "cut")` and the like say which kinds a test has. `Marks` are
the rare turns and the places of the code in a run. Imports the loop, and chance.
"""

from moonlet.simulations.faults.kinds import (
    HANDLERS,
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
from moonlet.simulations.faults.listing import in_lines
from moonlet.simulations.faults.marks import Marks, declared
from moonlet.simulations.faults.plan import DELAYS, DRIFTS, LASTING, SKEWS, Plan
from moonlet.simulations.faults.profile import LATENCIES, Profile, draw_profile

__all__ = [
    "DELAYS",
    "DRIFTS",
    "HANDLERS",
    "HOSTS",
    "KINDS",
    "LASTING",
    "LATENCIES",
    "SERVER",
    "SKEWS",
    "UNSAFE",
    "WIRE",
    "Fault",
    "FaultSet",
    "Marks",
    "Plan",
    "Profile",
    "all",
    "declared",
    "draw_profile",
    "in_lines",
    "none",
    "only",
]
