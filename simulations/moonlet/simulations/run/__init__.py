"""One run of a seed, from an empty world to its end, and the same run once more.

Imports the loop and the guard; knows nothing of hosts and servers.
"""

from moonlet.simulations.run.rerun import run_elsewhere, run_twice
from moonlet.simulations.run.simulation_run import SimulationRun

__all__ = [
    "SimulationRun",
    "run_elsewhere",
    "run_twice",
]
