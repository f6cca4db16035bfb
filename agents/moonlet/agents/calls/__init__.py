"""Calls: what agents perform outside, run by any host that can."""

from moonlet.agents.calls.call_runner import CallRunner
from moonlet.agents.calls.failures import failure

__all__ = ["CallRunner", "failure"]
