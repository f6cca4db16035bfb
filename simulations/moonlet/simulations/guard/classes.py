"""The part of ring 1 that are methods: replaced once in a process, deaf between runs.

Not put back after each run as attributes of modules are, since Python 3.13 stops following the
changes of a class after a thousand of them: from then on a method would be replaced in vain.
"""

import os
import random
import sys
import threading
from asyncio import tasks
from collections.abc import Callable
from typing import Any

from moonlet.simulations.guard import remedies
from moonlet.simulations.guard.audit import active_judge
from moonlet.simulations.loop import SimLoop, number_of

_replaced = False


def replace_methods() -> None:
    """Replace them, if no run of this process has."""
    global _replaced
    if _replaced:
        return
    _replaced = True
    for name in ("__getitem__", "__iter__", "__setitem__", "__delitem__"):
        _refuse(type(os.environ), name, "os.environ", remedies.MACHINE)
    _refuse(threading.Thread, "start", "threading.Thread.start()", remedies.THREAD)
    _refuse_waiting()
    _seed_from_the_run()
    _number_groups()


def _refuse(owner: type, name: str, call: str, remedy: str) -> None:
    real: Callable[..., Any] = getattr(owner, name)

    def refuse(*args: Any, **options: Any) -> Any:
        judge = active_judge()
        if judge is not None:
            judge.refuse(call, remedy)
        return real(*args, **options)

    setattr(owner, name, refuse)


def _refuse_waiting() -> None:
    """Events, queues, futures and semaphores of threads wait here; a timeout of 0 only looks."""
    real = threading.Condition.wait

    def wait(self: threading.Condition, timeout: float | None = None) -> bool:
        judge = active_judge()
        if judge is not None and timeout != 0:
            judge.refuse("threading.Condition.wait()", remedies.BLOCK)
        return real(self, timeout)

    threading.Condition.wait = wait  # type: ignore[method-assign]


def _seed_from_the_run() -> None:
    real = random.Random.seed

    def seed(self: random.Random, a: Any = None, version: int = 2) -> None:
        judge = active_judge()
        if a is None and judge is not None:
            judge.handler_asks("random.Random()", sys._getframe(1))
            a = int.from_bytes(judge.octets(16), "big")
        real(self, a, version)

    random.Random.seed = seed  # type: ignore[method-assign]


def _number_groups() -> None:
    """What `asyncio.gather` returns hashes as other futures of a run do."""
    gathering: Any = tasks._GatheringFuture  # type: ignore[attr-defined]

    def numbered(self: Any) -> int:
        return number_of(self) if isinstance(self.get_loop(), SimLoop) else object.__hash__(self)

    gathering.__hash__ = numbered
