"""Who asks: a handler of an agent type may not even ask what is virtual in a run.

Handlers are pure, and are decided again from their records: what hangs on a clock or on chance
comes out otherwise then. A handler is found on the stack, below the place in the framework that
calls it. So what it calls in other modules counts with it, a test's body in the same module
doesn't, and whoever never asks pays nothing. `on_perform` is no such handler: it may ask.
"""

from __future__ import annotations

from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any, Final, NamedTuple

from moonlet.agents.answering import OwnerService
from moonlet.core import behavior
from moonlet.core.behavior import Behavior
from moonlet.core.schema import MessageType
from moonlet.simulations.guard.remedies import (
    HANDLER_CHANCE,
    HANDLER_LOOP,
    HANDLER_PROCESS,
    HANDLER_TIME,
)

# Frames of these packages may touch the real world in a run: they read code, not data.
TOOLS: Final = frozenset((
    "_pytest", "bdb", "coverage", "hypothesis", "linecache", "pdb", "pydevd", "pytest_timeout",
    "traceback",
))  # fmt: skip
IMPORTING: Final = frozenset(("importlib._bootstrap", "importlib._bootstrap_external"))
LOGGING: Final = frozenset(("logging", "structlog"))
"""They stamp what they write with a time that no decision sees."""

DRAWING: Final = frozenset(("random", "secrets", "uuid"))
"""Modules that come to chance by way of a lower one: the error names their function."""


class Handling(NamedTuple):
    """A handler that runs: its kind, as in `command handler`, and its function."""

    kind: str
    function: Callable[..., Any]

    def __str__(self) -> str:
        name = getattr(self.function, "__qualname__", repr(self.function))
        return f"the {self.kind} {getattr(self.function, '__module__', '')}.{name}"


Site = Callable[[FrameType, FrameType | None], Handling | None]


def _deciding(frame: FrameType, below: FrameType | None) -> Handling | None:
    return Handling("command handler", frame.f_locals["handler"].function)


def _evolving(frame: FrameType, below: FrameType | None) -> Handling | None:
    return Handling("event handler", frame.f_locals["function"])


def _answering(frame: FrameType, below: FrameType | None) -> Handling | None:
    """It also sees whether the state was left alone: that is no handler's doing."""
    handler = frame.f_locals.get("handler")
    if handler is None or below is None:
        return None
    if below.f_code is not getattr(handler.function, "__code__", None):
        return None
    return Handling("query handler", handler.function)


def _upcasting(frame: FrameType, below: FrameType | None) -> Handling | None:
    function = frame.f_locals.get("function")
    return None if function is None else Handling("upcast", function)


# By id: to hash a code object takes longer than to walk a stack.
_SITES: Final[dict[int, Site]] = {
    id(Behavior._decide.__code__): _deciding,
    id(behavior._evolved.__code__): _evolving,
    id(OwnerService._watched.__code__): _answering,
    id(MessageType._upcasted.__code__): _upcasting,
}


def handling(caller: FrameType, end: CodeType) -> Handling | None:
    """The handler in which `caller` runs, if one does; frames from that of `end` on don't count.

    None too if a tool asks in its name: an import, a debugger, a log.
    """
    frame: FrameType | None = caller
    below: FrameType | None = None
    while frame is not None and frame.f_code is not end:
        site = _SITES.get(id(frame.f_code))
        found = site(frame, below) if site is not None else None
        if found is not None:
            return found
        if is_tool(frame) or _root(frame) in LOGGING:
            return None
        below, frame = frame, frame.f_back
    return None


def is_tool(frame: FrameType) -> bool:
    """Whether it is a frame of an import, or of what reads code."""
    return str(frame.f_globals.get("__name__", "")) in IMPORTING or _root(frame) in TOOLS


def asked_for(call: str, caller: FrameType) -> str:
    """The name of the call as the handler wrote it: `uuid.uuid4()` for the `os.urandom()` in it."""
    frame: FrameType | None = caller
    while frame is not None and frame.f_globals.get("__name__") in DRAWING:
        name = frame.f_code.co_qualname.removesuffix(".__init__").removeprefix("Random.")
        call = f"{frame.f_globals['__name__']}.{name}()"
        frame = frame.f_back
    return call


def remedy_for(call: str, kind: str) -> str:
    """What that kind of handler does instead."""
    if call.startswith(("time.", "date")):
        return HANDLER_TIME[kind]
    if call.startswith("asyncio."):
        return HANDLER_LOOP
    return HANDLER_PROCESS if call.startswith("os.getp") else HANDLER_CHANCE[kind]


def _root(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]
