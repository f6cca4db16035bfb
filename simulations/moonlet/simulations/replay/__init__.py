"""Runs as files: kept when a seed fails, run again from the explicit plan of their faults.

Imports scenarios, which it runs, and bundles, whose digests stand in the files.
"""

from moonlet.simulations.replay.kept import replay, save, scenario_of
from moonlet.simulations.replay.sim_file import SimFile, SimHeader, read_sim, write_sim

__all__ = [
    "SimFile",
    "SimHeader",
    "read_sim",
    "replay",
    "save",
    "scenario_of",
    "write_sim",
]
