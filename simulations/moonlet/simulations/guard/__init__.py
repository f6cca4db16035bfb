"""The guard of a run: whatever would read the real world is virtual, or an error.

Ring by ring (`guard` tells of them), with one `Judge` that all of them ask. Imports the loop, and
the framework's code that calls handlers.
"""

from moonlet.simulations.guard.audit import active_judge
from moonlet.simulations.guard.guard import Guard
from moonlet.simulations.guard.handlers import Handling, handling, is_tool
from moonlet.simulations.guard.judge import Judge

__all__ = [
    "Guard",
    "Handling",
    "Judge",
    "active_judge",
    "handling",
    "is_tool",
]
