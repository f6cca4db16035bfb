"""`topology`: what was asked for of journals, replicas and sizes; shown, planned, changed."""

from moonlet.console.topology.command import topology_app

__all__ = ["topology_app"]
