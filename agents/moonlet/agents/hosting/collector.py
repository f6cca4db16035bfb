"""Python's garbage collector in a process that runs hosts.

Its default, a collection for each 700 new objects, is made for programs with little in memory. A
host keeps much for long, and all of that is gone through again and again: a fifth of a command's
processor time, and most of it while ten thousand agents are brought back.
"""

import gc
from typing import Final

DEFAULT: Final = (700, 10, 10)
"""The interpreter's own thresholds; 3.13 gives 2,000 for the first."""

RARE: Final = (50_000, 20, 50)
"""Objects until a collection of the youngest, and how many of these until one of the elder."""

_hosts: int = 0
_before: tuple[int, int, int] | None = None


def collect_rarely() -> None:
    """Have the process collect rarely, until each that called this has called `collect_as_before`.

    Thresholds that the application has set stay as they are.
    """
    global _hosts, _before
    if not _hosts and gc.get_threshold()[1:] == DEFAULT[1:]:
        _before = gc.get_threshold()
        gc.set_threshold(*RARE)
    _hosts += 1


def collect_as_before() -> None:
    """The last of those that wanted it otherwise sets the thresholds back, if nobody else did."""
    global _hosts, _before
    _hosts -= 1
    if not _hosts and _before is not None:
        if gc.get_threshold() == RARE:
            gc.set_threshold(*_before)
        _before = None
