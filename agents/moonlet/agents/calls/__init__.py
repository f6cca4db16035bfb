"""Calls: what agents perform outside, run by any host that can."""

from moonlet.agents.calls.call_runner import CallRunner

__all__ = ["CallRunner"]
