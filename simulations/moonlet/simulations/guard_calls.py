"""Ring 3: every call, for aliases bound before the run and for `datetime.now` and its like.

`sys.monitoring` (3.12) forgets a call site after its first harmless call, so it costs next to
nothing; a site that calls now one function, now another, is judged by the first only. On 3.11
`sys.setprofile` sees every call, at five times the price.
"""

from __future__ import annotations

import sys
import threading
from datetime import date
from types import CodeType, FrameType
from typing import TYPE_CHECKING, Any

from moonlet.simulations.guard_remedies import CLOCK, ENTROPY, FILE
from moonlet.simulations.waits import HERE

if TYPE_CHECKING:
    from moonlet.simulations.guard import Guard

TOOL = 4  # of the six of sys.monitoring, one that has no customary owner
TODAY = frozenset(("now", "utcnow", "today"))


class Calls:
    """Watches the calls of one run."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._originals: dict[int, str] = {}
        self._profiler: Any = None

    def install(self, originals: dict[int, str]) -> None:
        """Begin to watch; `originals` are the names of the real functions by their `id`."""
        self._originals = originals
        if sys.version_info >= (3, 12):
            monitoring = sys.monitoring
            monitoring.use_tool_id(TOOL, "moonlet")
            monitoring.register_callback(TOOL, monitoring.events.CALL, self._on_call)
            monitoring.set_events(TOOL, monitoring.events.CALL)
        else:
            self._profiler = sys.getprofile()
            sys.setprofile(self._on_profile)

    def remove(self) -> None:
        """Stop watching."""
        if sys.version_info >= (3, 12):
            monitoring = sys.monitoring
            monitoring.set_events(TOOL, 0)
            monitoring.register_callback(TOOL, monitoring.events.CALL, None)
            monitoring.free_tool_id(TOOL)
        else:
            sys.setprofile(self._profiler)

    def _name(self, called: Any) -> str | None:
        """What that function is called if it is a way out."""
        name = self._originals.get(id(called))
        if name is not None:
            return name
        if getattr(called, "__name__", None) in TODAY:
            owner = getattr(called, "__self__", None)
            if isinstance(owner, type) and issubclass(owner, date):
                return f"{owner.__name__}.{called.__name__}()"
        return None

    def _refuse(self, name: str) -> None:
        if name.startswith(("time", "date")):
            self._guard.refuse(name, CLOCK)
        self._guard.refuse(name, ENTROPY if "random" in name else FILE)

    def _on_call(self, code: CodeType, offset: int, called: Any, first: object) -> Any:
        name = self._name(called)
        if name is None or code.co_filename.startswith(HERE):
            return sys.monitoring.DISABLE  # type: ignore[attr-defined, unused-ignore]
        if threading.get_ident() == self._guard.thread:
            self._refuse(name)
        return None

    def _on_profile(self, frame: FrameType, event: str, called: Any) -> None:
        if event == "c_call":
            name = self._name(called)
            if name is not None and not frame.f_code.co_filename.startswith(HERE):
                self._refuse(name)
