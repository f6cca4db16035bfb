"""Ring 1: attributes of modules, replaced for the time of a run."""

from __future__ import annotations

import _thread
import asyncio
import os
import platform
import random
import select
import signal
import sys
import threading
import time
import uuid
from asyncio import futures, tasks
from collections.abc import Callable
from typing import Any

from moonlet.simulations.guard import remedies
from moonlet.simulations.guard.judge import Judge
from moonlet.simulations.guard.stand_ins import StandInFuture, StandInTask
from moonlet.simulations.loop import LIFE

SECOND_NS = 1_000_000_000
ABSENT = object()  # what is to be put back is nothing: the class has it
FIRST_PID = 1000
NODE_ID = 0x020000000001  # of uuid1: a locally administered address

WALL_CLOCKS = {
    getattr(time, name)
    for name in ("CLOCK_REALTIME", "CLOCK_TAI", "CLOCK_REALTIME_COARSE")
    if hasattr(time, name)
}
MONOTONIC = ("monotonic", "perf_counter", "process_time", "thread_time")
LOOP = ("get_running_loop", "get_event_loop", "create_task")
"""By these a handler would have a clock, and tasks that no record tells of."""

TAKES_TIME = {"gmtime": 0, "localtime": 0, "ctime": 0, "asctime": 0, "strftime": 1}

# An error, whoever calls: (owner, attribute) and what to do instead.
REFUSED: list[tuple[Any, str, str]] = [
    (time, "sleep", remedies.CLOCK),
    (_thread, "start_new_thread", remedies.THREAD),
    (platform, "uname", remedies.MACHINE),
    *((select, name, remedies.SOCKET) for name in ("select", "poll", "epoll", "kqueue")),
    *(
        (signal, name, remedies.SIGNAL)
        for name in ("alarm", "pause", "raise_signal", "set_wakeup_fd", "setitimer", "signal",
                     "sigtimedwait", "sigwait", "sigwaitinfo")
    ),
    *(
        (os, name, remedies.FILE)
        for name in ("access", "getcwd", "lstat", "pipe", "readlink", "stat", "statvfs")
    ),
    *(
        (os, name, remedies.MACHINE)
        for name in ("cpu_count", "getloadavg", "getlogin", "process_cpu_count",
                     "sched_getaffinity", "times", "uname")
    ),
    *((os, name, remedies.PROCESS) for name in ("wait", "wait3", "wait4", "waitpid")),
]  # fmt: skip


class Attributes:
    """The replacements of one run; `originals` says what the real ones are called."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._undo: list[tuple[Any, str, Any]] = []
        self._random_state = random.getstate()
        self._zone = os.environ.get("TZ")
        self.originals: dict[int, str] = {}
        self.drawn: dict[int, str] = {}  # what handlers alone may not call

    def install(self) -> None:
        """Replace everything."""
        self._random_state, self._zone = random.getstate(), os.environ.get("TZ")
        self._set_zone("UTC")
        self._replace_clocks()
        self._replace_chance()
        self._replace_process()
        self._replace_asyncio()
        for name in LOOP:
            self.drawn[id(getattr(asyncio, name))] = f"asyncio.{name}()"
        for owner, name, remedy in REFUSED:
            if hasattr(owner, name):
                self._put(owner, name, self._refusal(owner, name, remedy))

    def remove(self) -> None:
        """Put everything back."""
        for owner, name, value in reversed(self._undo):
            if value is ABSENT:
                delattr(owner, name)
            else:
                setattr(owner, name, value)
        self._undo.clear()
        self._set_zone(self._zone)
        random.setstate(self._random_state)

    def _put(self, owner: Any, name: str, value: Any, *, watched: bool = True) -> None:
        real = getattr(owner, name)
        self._undo.append((owner, name, real))
        if watched and callable(real):
            self.originals[id(real)] = f"{owner.__name__}.{name}()"
        setattr(owner, name, value)

    def _refusal(self, owner: Any, name: str, remedy: str) -> Callable[..., Any]:
        judge, real, what = self._judge, getattr(owner, name), f"{owner.__name__}.{name}()"

        def refuse(*args: Any, **options: Any) -> Any:
            if threading.get_ident() == judge.thread:
                judge.refuse(what, remedy)
            return real(*args, **options)

        return refuse

    def _virtual(
        self,
        owner: Any,
        name: str,
        value: Callable[..., Any],
        *,
        watched: bool = True,
        asks: Callable[[tuple[Any, ...]], bool] = lambda args: True,
    ) -> None:
        """Replace a function by what a run says instead; `asks`: with these arguments it must."""
        judge, real, what = self._judge, getattr(owner, name), f"{owner.__name__}.{name}()"

        def virtual(*args: Any, **options: Any) -> Any:
            if threading.get_ident() != judge.thread:
                return real(*args, **options)
            if judge.strict and asks(args):
                judge.handler_asks(what, sys._getframe(1))
            return value(*args, **options)

        self._put(owner, name, virtual, watched=watched)

    def _local_ns(self) -> int:
        life, now_ns = LIFE.get(None), self._judge.loop.now_ns
        return now_ns if life is None else life.node.local_ns(now_ns)

    def _wall_ns(self) -> int:
        life, now_ns = LIFE.get(None), self._judge.loop.now_ns
        if life is not None:
            return life.node.wall_ns(now_ns)
        return self._judge.loop.epoch_ns + now_ns

    def _replace_clocks(self) -> None:
        local, wall = self._local_ns, self._wall_ns
        for name in MONOTONIC:
            if hasattr(time, name):
                self._virtual(time, name, lambda: local() / SECOND_NS)
                self._virtual(time, f"{name}_ns", local)
        self._virtual(time, "time", lambda: wall() / SECOND_NS)
        self._virtual(time, "time_ns", wall)
        if hasattr(time, "clock_gettime"):

            def read_ns(clock: int) -> int:
                return wall() if clock in WALL_CLOCKS else local()

            self._virtual(time, "clock_gettime", lambda clock: read_ns(clock) / SECOND_NS)
            self._virtual(time, "clock_gettime_ns", read_ns)
        real_gmtime = time.gmtime
        for name, place in TAKES_TIME.items():
            as_struct = name in ("asctime", "strftime")
            real = getattr(time, name)

            def asks(args: tuple[Any, ...], _place: int = place) -> bool:
                return len(args) <= _place or args[_place] is None

            def formatted(
                *args: Any,
                _real: Any = real,
                _place: int = place,
                _asks: Any = asks,
                _struct: bool = as_struct,
            ) -> Any:
                if not _asks(args):
                    return _real(*args)
                seconds = wall() // SECOND_NS
                return _real(*args[:_place], real_gmtime(seconds) if _struct else seconds)

            self._virtual(time, name, formatted, watched=False, asks=asks)

    def _set_zone(self, zone: str | None) -> None:
        """The zone of all local times, also of `datetime`'s, in which no module has a say."""
        if zone is None:
            os.environ.pop("TZ", None)
        else:
            os.environ["TZ"] = zone
        if hasattr(time, "tzset"):
            time.tzset()

    def _replace_chance(self) -> None:
        judge = self._judge

        def octets(count: int, flags: int = 0) -> bytes:
            return judge.octets(count)

        self._virtual(os, "urandom", octets)
        if hasattr(os, "getrandom"):
            self._virtual(os, "getrandom", octets)
        self._virtual(random, "_urandom", octets, watched=False)
        shared = random._inst
        self._virtual(random, "seed", lambda a=None, version=2: shared.seed(a, version))
        shared.seed(octets(16))
        for name, value in (("_generate_time_safe", None), ("_UuidCreate", None),
                            ("_node", NODE_ID), ("_last_timestamp", None)):  # fmt: skip
            if hasattr(uuid, name):
                self._put(uuid, name, value, watched=False)
        self._judge_the_shared_generator()

    def _judge_the_shared_generator(self) -> None:
        """It is seeded once, and draws without asking anybody: of what `random` offers, all that
        is written in Python comes to these two by way of the instance, however it was bound.
        """
        shared = random._inst
        for name in ("random", "getrandbits"):
            real = getattr(random, name)
            self.drawn[id(real)] = f"random.{name}()"
            if self._judge.strict:
                self._virtual(random, name, real, watched=False)
                self._put_on(shared, name, self._judged(real, f"random.{name}()"))

    def _judged(self, real: Callable[..., Any], what: str) -> Callable[..., Any]:
        judge = self._judge

        def judged(*args: Any) -> Any:
            if threading.get_ident() == judge.thread:
                judge.handler_asks(what, sys._getframe(1))
            return real(*args)

        return judged

    def _put_on(self, instance: Any, name: str, value: Any) -> None:
        """Hide a method of an instance."""
        self._undo.append((instance, name, ABSENT))
        setattr(instance, name, value)

    def _replace_process(self) -> None:
        def pid() -> int:
            life = LIFE.get(None)
            return FIRST_PID if life is None else FIRST_PID + life.number

        self._virtual(os, "getpid", pid)
        self._virtual(os, "getppid", lambda: 1)

    def _replace_asyncio(self) -> None:
        """Futures and tasks that are made without the loop, and sets of them, go by the run."""
        loop = self._judge.loop

        def all_tasks(of: asyncio.AbstractEventLoop | None = None) -> set[asyncio.Task[Any]]:
            return set(loop.tasks.of(LIFE.get(None)))

        for module in (asyncio, tasks):
            self._virtual(module, "all_tasks", all_tasks, watched=False)
            self._put(module, "Task", StandInTask, watched=False)
        for module in (asyncio, futures):
            self._put(module, "Future", StandInFuture, watched=False)
