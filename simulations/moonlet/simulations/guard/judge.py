"""What becomes of a call that a ring has seen: an error, virtual chance, or nothing for a tool."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import TYPE_CHECKING, Any

from moonlet.simulations.guard.handlers import asked_for, handling, is_tool, remedy_for
from moonlet.simulations.loop import LIFE, SimLoop
from moonlet.simulations.seed import Seed

if TYPE_CHECKING:
    from moonlet.agents import AgentType

NO_THREAD = -1


class Judge:
    """All rings of a run ask it. `thread` is the run's; what another thread does is its own.

    `strict` are the agent types whose handlers may not even ask for what is virtual.
    """

    def __init__(self, loop: SimLoop, seed: Seed, strict: tuple[AgentType[Any], ...] = ()) -> None:
        self.loop = loop
        self.strict = strict
        self.thread = threading.get_ident()
        self._seed = seed

    def take_thread(self) -> None:
        """The run begins, in the thread that calls."""
        self.thread = threading.get_ident()

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
        return self._seed.dice(f"entropy/{name}").octets(count)

    def handler_asks(self, call: str, caller: FrameType) -> None:
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
