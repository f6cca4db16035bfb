"""`sim`: search worlds for failures, replay, shrink, explain, and look into a failed run."""

from moonlet.console.sim.command import sim_app

__all__ = ["sim_app"]
