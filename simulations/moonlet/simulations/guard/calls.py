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
from typing import Any

from moonlet.simulations.guard.judge import Judge
from moonlet.simulations.guard.remedies import CLOCK, ENTROPY, FILE
from moonlet.simulations.loop import HERE

TOOL = 4  # of the six of sys.monitoring, one that has no customary owner
OURS = ("asyncio", "moonlet.agents", "moonlet.core", "moonlet.projections", "moonlet.streams")
"""Of these, nothing that handlers call asks for them for what handlers alone may not."""

TODAY = frozenset(("now", "utcnow", "today"))


class Calls:
    """Watches the calls of one run."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._originals: dict[int, str] = {}
        self._drawn: dict[int, str] = {}
        self._profiler: Any = None

    def prepare(self, originals: dict[int, str], drawn: dict[int, str]) -> None:
        """Know real functions' names by their `id`; those in `drawn` only handlers may not call."""
        self._originals, self._drawn = originals, drawn

    def install(self, originals: dict[int, str], drawn: dict[int, str]) -> None:
        """Begin to watch, as `prepare` says."""
        self.prepare(originals, drawn)
        if sys.version_info >= (3, 12):
            monitoring = sys.monitoring
            monitoring.use_tool_id(TOOL, "moonlet")
            monitoring.register_callback(TOOL, monitoring.events.CALL, self._on_call)
            monitoring.set_events(TOOL, monitoring.events.CALL)
        else:
            self._profiler = sys.getprofile()
            sys.setprofile(self.on_profile)

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

    def _refuse(self, name: str, caller: FrameType) -> None:
        self._judge.handler_asks(name, caller)
        if name.startswith(("time", "date")):
            self._judge.refuse(name, CLOCK)
        self._judge.refuse(name, ENTROPY if "random" in name else FILE)

    def _on_call(self, code: CodeType, offset: int, called: Any, first: object) -> Any:
        name, drawn = self._name(called), self._drawn.get(id(called))
        if (name is None and drawn is None) or code.co_filename.startswith(HERE):
            return sys.monitoring.DISABLE  # type: ignore[attr-defined, unused-ignore]
        caller = sys._getframe(1)
        if drawn is not None and str(caller.f_globals.get("__name__", "")).startswith(OURS):
            return sys.monitoring.DISABLE  # type: ignore[attr-defined, unused-ignore]
        if threading.get_ident() == self._judge.thread:
            if drawn is not None:
                self._judge.handler_asks(drawn, caller)
            elif name is not None:
                self._refuse(name, caller)
        return None

    def on_profile(self, frame: FrameType, event: str, called: Any) -> None:
        """See `sys.setprofile`."""
        if event != "c_call":
            return
        drawn = self._drawn.get(id(called))
        if drawn is not None:
            self._judge.handler_asks(drawn, frame)
        name = self._name(called)
        if name is not None and not frame.f_code.co_filename.startswith(HERE):
            self._refuse(name, frame)
