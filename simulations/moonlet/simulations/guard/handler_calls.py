"""Ring 3 in handlers alone, for Python 3.11, where to watch all calls costs a factor of five.

Only for agent types that hold a way out which no other ring sees: `datetime`, `asyncio`, or a
function that was bound before the run, as in `from time import time`. The others pay nothing.
"""

from __future__ import annotations

import asyncio
import datetime
import functools
import sys
from collections.abc import Callable, Iterable, Iterator
from types import CodeType, FunctionType, ModuleType
from typing import Any, Final

import msgspec

from moonlet.agents import AgentType
from moonlet.core import behavior
from moonlet.core.behavior import Behavior
from moonlet.simulations.guard.calls import Calls
from moonlet.simulations.guard.judge import Judge

OURS: Final = (
    "moonlet.agents", "moonlet.core", "moonlet.projections", "moonlet.simulations",
    "moonlet.streams", "moonlet.telemetry", "moonlet.testing",
)  # fmt: skip
LIBRARIES: Final = frozenset(("annotated_types", "msgspec", "pydantic", "typing_extensions"))
"""What agents use of all these doesn't ask for the time; not read any further."""

NAMES: Final = frozenset(("asyncio", "datetime"))
CONTAINERS_MAX: Final = 3
"""How deep in containers a way out is looked for."""


class HandlerCalls:
    """Watches the calls of the handlers of one run."""

    def __init__(self, judge: Judge) -> None:
        self._agents = judge.strict
        self._calls = Calls(judge)
        self._undo: list[Callable[[], object]] = []

    def install(self, originals: dict[int, str], drawn: dict[int, str]) -> None:
        """Begin to watch, if there is anything to see; see `Calls.prepare`."""
        if not may_ask(self._agents, frozenset((*originals, *drawn))):
            return
        self._calls.prepare(originals, drawn)
        self._replace(behavior, "_evolved")
        self._replace(Behavior, "_decide")
        for agent_type in self._agents:
            queries = agent_type.queries
            for name, handler in queries.items():
                self._undo.append(functools.partial(queries.__setitem__, name, handler))
                queries[name] = msgspec.structs.replace(
                    handler, function=self._watched(handler.function)
                )

    def remove(self) -> None:
        """Stop watching."""
        for undo in reversed(self._undo):
            undo()
        self._undo.clear()

    def _replace(self, owner: Any, name: str) -> None:
        real = getattr(owner, name)
        self._undo.append(functools.partial(setattr, owner, name, real))
        setattr(owner, name, self._watched(real))

    def _watched(self, function: Callable[..., Any]) -> Callable[..., Any]:
        watch = self._calls.on_profile

        @functools.wraps(function)
        def watched(*args: Any) -> Any:
            if sys.getprofile() is not None:  # a handler in a handler, or somebody's profiler
                return function(*args)
            sys.setprofile(watch)
            try:
                return function(*args)
            finally:
                sys.setprofile(None)

        return watched


@functools.lru_cache(maxsize=64)
def may_ask(agents: tuple[AgentType[Any], ...], ways: frozenset[int]) -> bool:
    """Whether code of the agents, or what it imports beside us and the standard library, holds one.

    `ways` are functions by their `id`. Looked for in the modules as they are at the first run.
    """
    roots: list[dict[str, Any]] = []
    for agent_type in agents:
        roots.append(_globals(agent_type.state))
        tables = agent_type.behavior.commands, agent_type.behavior.events, agent_type.queries
        for handler in (handler for table in tables for handler in table.values()):
            roots += [_globals(handler.message.cls), _globals(handler.function)]
            if any(_is_way(value, ways) for value in _inside(handler.function)):
                return True
    return any(_is_way(value, ways) for value in _reached(roots))


def _reached(scopes: list[dict[str, Any]]) -> Iterator[Any]:
    """What the modules hold, and those that they hold something of."""
    seen: set[int] = set()
    while scopes:
        scope = scopes.pop()
        name = str(scope.get("__name__", ""))
        if id(scope) in seen or name.partition(".")[0] in sys.stdlib_module_names:
            continue
        seen.add(id(scope))
        for value in _spread(list(scope.values()), CONTAINERS_MAX):
            yield value
            yield from _inside(value)
            held = _globals(value)
            name = str(held.get("__name__", ""))
            if not name.startswith(OURS) and name.partition(".")[0] not in LIBRARIES:
                scopes.append(held)


def _spread(values: Iterable[Any], depth: int) -> Iterator[Any]:
    """The values, and those in containers among them."""
    for value in values:
        yield value
        if depth and isinstance(value, dict | list | tuple | set | frozenset):
            inner = list(value.values()) if isinstance(value, dict) else list(value)
            yield from _spread(inner, depth - 1)


def _globals(value: Any) -> dict[str, Any]:
    """The names of the module that it is, or that it was made in."""
    if isinstance(value, ModuleType):
        return vars(value)
    if isinstance(value, FunctionType):
        return value.__globals__
    module = sys.modules.get((value if isinstance(value, type) else type(value)).__module__)
    return {} if module is None else vars(module)


def _inside(value: Any) -> Iterator[Any]:
    """What a function closes over; and `datetime`, if it imports such a module itself."""
    if not isinstance(value, FunctionType):
        return
    for cell in value.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # not assigned yet
            continue
    if _names_one(value.__code__):
        yield datetime


def _names_one(code: CodeType) -> bool:
    return not NAMES.isdisjoint(code.co_names) or any(
        _names_one(constant) for constant in code.co_consts if isinstance(constant, CodeType)
    )


def _is_way(value: Any, ways: frozenset[int]) -> bool:
    if value is datetime or value is asyncio or id(value) in ways:
        return True
    return isinstance(value, type) and issubclass(value, datetime.date)
