"""The guard of a run: whatever would read the real world is virtual, or an error that names it.

Ring 1 replaces attributes of modules (`guard_attributes`) and methods (`guard_classes`), ring 2
listens to Python's audit events (`guard_audit`), ring 3 watches each call (`guard_calls`: aliases
bound before the run, `datetime.now`). Ring 4 is to run a seed twice (`rerun`), for what no ring can
see: addresses, hashes of strings, state left by an earlier run. Other threads are left alone.

Handlers of agents may not even ask for what is virtual (`guard_handlers`), a clock or chance.

Not caught by any ring, so left to review: the locale, `threading.get_ident`, a lock of another
thread, and a C function that calls one of the real functions itself (`map(time.time, …)`).
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import TYPE_CHECKING, Any, Self

from moonlet.simulations.guard.attributes import Attributes
from moonlet.simulations.guard.audit import Audit
from moonlet.simulations.guard.calls import Calls
from moonlet.simulations.guard.classes import replace_methods
from moonlet.simulations.guard.handler_calls import HandlerCalls
from moonlet.simulations.guard.handlers import asked_for, handling, is_tool, remedy_for
from moonlet.simulations.loop.node import LIFE

if TYPE_CHECKING:
    from moonlet.agents import AgentType
    from moonlet.simulations.loop.sim_loop import SimLoop
    from moonlet.simulations.seed import Seed

NO_THREAD = -1
WATCH_IS_CHEAP = sys.version_info >= (3, 12)  # on 3.11 ring 3 costs a factor of five


class Guard:
    """A context manager around a run; not re-entrant, one at a time in a process.

    `strict` are agent types: in their handlers a virtual clock or virtual chance is an error too,
    since a handler that asks for them is wrong in the real world.
    """

    def __init__(
        self,
        loop: SimLoop,
        seed: Seed,
        *,
        strict: tuple[AgentType[Any], ...] = (),
        watch: bool | None = None,
    ) -> None:
        self.loop = loop
        self.seed = seed
        self.strict = strict
        self.thread = threading.get_ident()
        self._attributes = Attributes(self)
        self._audit = Audit(self)
        self._calls: Calls | HandlerCalls | None = None
        if WATCH_IS_CHEAP if watch is None else watch:
            self._calls = Calls(self)
        elif strict:
            self._calls = HandlerCalls(self)

    def __enter__(self) -> Self:
        self._audit.check()
        replace_methods()
        self.thread = threading.get_ident()
        with contextlib.ExitStack() as undo:
            undo.callback(self._attributes.remove)
            self._attributes.install()
            if self._calls is not None:
                self._calls.install(self._attributes.originals, self._attributes.drawn)
                undo.callback(self._calls.remove)
            self._audit.install()
            undo.callback(self._audit.remove)
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *raised: object) -> None:
        self._undo.close()

    @contextlib.contextmanager
    def lifted(self) -> Iterator[None]:
        """Let the machinery of the run itself reach the real world, for a moment."""
        thread, self.thread = self.thread, NO_THREAD
        try:
            yield
        finally:
            self.thread = thread

    def refuse(self, call: str, remedy: str) -> None:
        """Raise `Escape`, unless a tool (import, debugger, coverage) makes the call."""
        if not self._is_tool(sys._getframe(1)):
            raise self.loop.escape(call, remedy)

    def octets(self, count: int) -> bytes:
        """Entropy for the current node; another node's draws don't shift it."""
        life = LIFE.get(None)
        name = "" if life is None else life.node.name
        return self.seed.dice(f"entropy/{name}").octets(count)

    def judge(self, call: str, caller: FrameType) -> None:
        """Raise `Impure` for a call that is virtual, if a handler of an agent makes it."""
        found = handling(caller, type(self.loop)._run_once.__code__) if self.strict else None
        if found is not None:
            call = asked_for(call, caller)
            raise self.loop.escape(call, remedy_for(call, found.kind), str(found))

    def _is_tool(self, frame: FrameType | None) -> bool:
        run = type(self.loop)._run_once.__code__
        while frame is not None and frame.f_code is not run:
            if is_tool(frame):
                return True
            frame = frame.f_back
        return False
