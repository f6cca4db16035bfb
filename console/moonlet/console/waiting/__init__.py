"""`waiting` and `parked`: what agents wait for, and what could not be done."""

from moonlet.console.waiting.parked import parked_app
from moonlet.console.waiting.waiting import waiting

__all__ = ["parked_app", "waiting"]
