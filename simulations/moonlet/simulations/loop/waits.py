"""Who waits for what: the report of a deadlock, and the place that an escape names."""

from __future__ import annotations

import asyncio
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import PurePath
from types import CodeType, FrameType
from typing import Any

from moonlet.simulations.loop.registry import TaskRegistry
from moonlet.simulations.loop.tasks import SimTask

CHAIN_MAX = 12
TASKS_SHOWN = 50
STDLIB = (sysconfig.get_path("stdlib"), "<frozen ")
HERE = str(PurePath(__file__).parent.parent)


def is_user_code(code: CodeType) -> bool:
    """Neither the standard library's nor the simulator's own."""
    name = code.co_filename
    inside = name.startswith(STDLIB) and "site-packages" not in name
    return not inside and not name.startswith(HERE)


def where(frame: FrameType | None) -> str:
    """`file:line function` of the nearest frame of user code, else of the nearest at all."""
    found = frame
    while found is not None and not is_user_code(found.f_code):
        found = found.f_back
    found = frame if found is None else found
    if found is None:
        return "an unknown place"
    code = found.f_code
    return f"{code.co_filename}:{found.f_lineno} {code.co_qualname}"


def origin(error: BaseException) -> str:
    """` at file:line function` of the innermost user code that the error went through."""
    found, trail = "", error.__traceback__
    while trail is not None:
        code = trail.tb_frame.f_code
        if not found or is_user_code(code):
            found = f" at {code.co_filename}:{trail.tb_lineno} {code.co_qualname}"
        trail = trail.tb_next
    return found


def waiting(known: TaskRegistry) -> list[str]:
    """A line per unfinished task of a living node, in creation order; then the circles."""
    tasks = [task for task in known.unfinished() if task.life is None or task.life.alive]
    lines = [line_of(task) for task in tasks[:TASKS_SHOWN]]
    if len(tasks) > TASKS_SHOWN:
        lines.append(f"and {len(tasks) - TASKS_SHOWN} more")
    return lines + [f"circle: {circle}" for circle in circles(tasks)]


def line_of(task: SimTask[Any]) -> str:
    """`node/name waits in f (file:line) < g (file:line) for task`."""
    life = task.life
    owner = "" if life is None else f"{life.node.name}/"
    state = " (paused)" if life is not None and life.paused else ""
    frames = [
        f"{code.co_qualname} ({PurePath(code.co_filename).name}:{line})"
        for code, line in reversed(list(await_chain(task)))
    ]
    wanted = [other.get_name() for other in awaited_by(task)]
    ending = f" for {', '.join(wanted)}" if wanted else ""
    return f"{owner}{task.get_name()}{state} waits in {' < '.join(frames[:CHAIN_MAX])}{ending}"


def await_chain(task: asyncio.Task[Any]) -> Iterator[tuple[CodeType, int]]:
    """Code and line of each coroutine from the task's own to the one that waits."""
    step: Any = task.get_coro()
    while step is not None:
        frame = getattr(step, "cr_frame", None) or getattr(step, "gi_frame", None)
        if frame is None:
            return
        yield frame.f_code, frame.f_lineno
        step = getattr(step, "cr_await", None) or getattr(step, "gi_yieldfrom", None)


def awaited_by(task: asyncio.Task[Any]) -> list[asyncio.Task[Any]]:
    """The unfinished tasks that it waits for: directly, by gather, wait or a TaskGroup."""
    future = getattr(task, "_fut_waiter", None)
    found: list[Any] = [future, *getattr(future, "_children", ())]
    step: Any = task.get_coro()
    while step is not None:
        frame = getattr(step, "cr_frame", None)
        if frame is not None:
            local = frame.f_locals
            if frame.f_code.co_qualname == "_wait":
                found += _by_number(local.get("fs", ()))
            elif frame.f_code.co_qualname == "TaskGroup.__aexit__":
                found += _by_number(local["self"]._tasks)
        step = getattr(step, "cr_await", None)
    return [other for other in found if isinstance(other, asyncio.Task) and not other.done()]


def _by_number(futures: Iterable[Any]) -> list[Any]:
    return sorted(futures, key=lambda future: int(getattr(future, "number", 0)))


def circles(tasks: Iterable[asyncio.Task[Any]]) -> list[str]:
    """Tasks that wait for one another in a ring, each ring once: `a#1 -> b#2 -> a#1`."""
    found = []
    seen: set[asyncio.Task[Any]] = set()
    for start in tasks:
        path: list[asyncio.Task[Any]] = []
        step: asyncio.Task[Any] | None = start
        while step is not None and step not in seen:
            seen.add(step)
            path.append(step)
            nexts = awaited_by(step)
            step = nexts[0] if nexts else None
        if step is not None and step in path:
            ring = [*path[path.index(step) :], step]
            found.append(" -> ".join(task.get_name() for task in ring))
    return found
