"""Agents and hosts: `up`, `run`, `tell`, `ask`, `query`, `agents`, `verify`, `alerts`."""

from moonlet.console.agents.alerting import alerts
from moonlet.console.agents.reading import agents, count_commits
from moonlet.console.agents.repairing import repair_
from moonlet.console.agents.sending import ask, query, tell
from moonlet.console.agents.serving import run, up
from moonlet.console.agents.verifying import verify

__all__ = [
    "agents",
    "alerts",
    "ask",
    "count_commits",
    "query",
    "repair_",
    "run",
    "tell",
    "up",
    "verify",
]
