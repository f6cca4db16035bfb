"""`bench`, and the agent type that it measures."""

from moonlet.console.bench.command import bench

__all__ = ["bench"]
