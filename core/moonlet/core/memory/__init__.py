"""What an agent has counted: who sent what, in memory and beyond, so that nothing counts twice."""

from moonlet.core.memory.past import NOTHING_KEPT, NOTHING_LEFT, Past
from moonlet.core.memory.runs import (
    Fact,
    Key,
    RunBuilder,
    SortedRun,
    Upto,
    find,
    id_key,
    items,
    joined,
    window_key,
)
from moonlet.core.memory.windows import (
    DOUBTED,
    WINDOW,
    Window,
    Windows,
    holds,
    joined_windows,
    sent_by_agent,
)

__all__ = [
    "DOUBTED",
    "NOTHING_KEPT",
    "NOTHING_LEFT",
    "WINDOW",
    "Fact",
    "Key",
    "Past",
    "RunBuilder",
    "SortedRun",
    "Upto",
    "Window",
    "Windows",
    "find",
    "holds",
    "id_key",
    "items",
    "joined",
    "joined_windows",
    "sent_by_agent",
    "window_key",
]
