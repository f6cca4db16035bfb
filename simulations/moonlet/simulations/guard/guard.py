"""The guard of a run: whatever would read the real world is virtual, or an error that names it.

Ring 1 replaces attributes of modules (`attributes`) and methods (`classes`), ring 2
listens to Python's audit events (`audit`), ring 3 watches each call (`calls`: aliases
bound before the run, `datetime.now`). Ring 4 is to run a seed twice (`rerun`), for what no ring can
see: addresses, hashes of strings, state left by an earlier run. Other threads are left alone.

Handlers of agents may not even ask for what is virtual (`handlers`), a clock or chance.

Not caught by any ring, so left to review: the locale, `threading.get_ident`, a lock of another
thread, and a C function that calls one of the real functions itself (`map(time.time, …)`).
"""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any, Self

from moonlet.simulations.guard.attributes import Attributes
from moonlet.simulations.guard.audit import AuditHook
from moonlet.simulations.guard.calls import Calls
from moonlet.simulations.guard.classes import replace_methods
from moonlet.simulations.guard.handler_calls import HandlerCalls
from moonlet.simulations.guard.judge import Judge
from moonlet.simulations.loop import SimLoop
from moonlet.simulations.seed import Seed

if TYPE_CHECKING:
    from moonlet.agents import AgentType

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
        self._judge = judge = Judge(loop, seed, strict)
        self._attributes = Attributes(judge)
        self._audit = AuditHook(judge)
        self._calls: Calls | HandlerCalls | None = None
        if WATCH_IS_CHEAP if watch is None else watch:
            self._calls = Calls(judge)
        elif strict:
            self._calls = HandlerCalls(judge)

    def __enter__(self) -> Self:
        self._audit.check()
        replace_methods()
        self._judge.take_thread()
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
