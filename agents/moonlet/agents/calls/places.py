"""Where a host's calls run: in threads of their own, or, in a simulation, where all else does."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any, Final, Protocol

from moonlet.agents.calls.call_loop import CallLoop, Moved
from moonlet.agents.calls.call_work import CallWork, Finished
from moonlet.agents.calls.resources import Resources
from moonlet.agents.services import HostServices
from moonlet.telemetry import get_logger

log = get_logger(__name__)

BEAT: Final = 0.2
"""Seconds between two looks at whether calls' loops go on."""

THREADS_MAX: Final = 64
"""Threads that the calls of one handler hold at a time, those too that nobody can end any more."""

MOVES_MAX: Final = 3
"""How often a call is begun again because its thread was blocked, or what ran there cancelled,
before it counts as failed."""

CLOSE_SECONDS: Final = 2.5
"""Seconds that the threads have to end when their host does."""


class CallPlace(Protocol):
    """Runs the work of calls."""

    async def run(self, work: CallWork) -> Finished:
        """What came of it. Cancelled, it is ended, or, where it can't be, left to itself."""
        ...

    async def close(self) -> None:
        """Close what was opened for calls."""
        ...


class OneLoop:
    """On the host's own loop: the place of simulated hosts, in which nothing can block."""

    def __init__(self) -> None:
        self._resources: Resources | None = None

    async def run(self, work: CallWork) -> Finished:
        """See `CallPlace`."""
        if self._resources is None:
            self._resources = Resources(_here)
        return await work.run(self._resources, _here)

    async def close(self) -> None:
        """See `CallPlace`."""
        if self._resources is not None:
            await self._resources.close()


def _here(work: Callable[[], None], owner: object = None) -> None:
    work()


class CallThreads:
    """On loops in threads. A call that blocks its loop gets one of its own from then on."""

    def __init__(self, services: HostServices) -> None:
        self._services = services
        self._shared: CallLoop | None = None
        self._loops: dict[CallLoop, Any] = {}
        self._threads: dict[threading.Thread, Any] = {}
        self._running: list[CallWork] = []
        self._blocking: set[Any] = set()
        self._beating: asyncio.Task[None] | None = None
        self._closed = False

    async def run(self, work: CallWork) -> Finished:
        """See `CallPlace`."""
        moves, alone = 0, False
        while True:
            await self._wait_for_room(work)
            self._running.append(work)
            loop = self._loop_for(work, alone=alone)
            try:
                return await self._finish(loop, work)
            except Moved as moved:
                moves, alone = moves + 1, alone or moved.alone
                if moves > MOVES_MAX:
                    return work.failed("timeout", "each thread that it ran in was blocked or ended")
            finally:
                self._running.remove(work)

    async def _wait_for_room(self, work: CallWork) -> None:
        function = work.handler.function
        while self._held_by(function) >= THREADS_MAX:
            self._services.alarm(
                "a handler's calls hold all its threads",
                handler=function.__qualname__,
                limit=THREADS_MAX,
            )
            await asyncio.sleep(BEAT)

    def _held_by(self, function: Any) -> int:
        """Threads, and what has none yet and was let go for one."""
        works = [work for work in list(self._threads.values()) if isinstance(work, CallWork)]
        threads = [work for work in works if work.handler.function is function]
        coming = [
            work
            for work in self._running
            if work.handler.function is function
            and not work.handler.is_async
            and work not in threads
        ]
        return list(self._loops.values()).count(function) + len(threads) + len(coming)

    def _loop_for(self, work: CallWork, *, alone: bool) -> CallLoop:
        function = work.handler.function
        alone = alone or function in self._blocking
        loop = None if alone else self._shared
        if loop is None or loop.stuck:
            loop = CallLoop(self._in_thread)
            self._loops[loop] = function if alone else None
            loop.ended.add_done_callback(lambda _: self._loops.pop(loop))
            if not alone:
                self._shared = loop
        if self._beating is None or self._beating.done():
            self._beating = asyncio.get_running_loop().create_task(
                self._beat(), name="beat of calls"
            )
        return loop

    def _in_thread(self, work: Callable[[], None], owner: object = None) -> None:
        """Called on the loops of calls; the process doesn't wait for such threads at its end."""

        def run() -> None:
            try:
                work()
            finally:
                del self._threads[threading.current_thread()]

        thread = threading.Thread(target=run, name="moonlet call", daemon=True)
        self._threads[thread] = owner
        thread.start()

    async def _finish(self, loop: CallLoop, work: CallWork) -> Finished:
        """Wait for it as long as it may take, even if its loop can't say that time is up."""
        policy = work.handler.policy
        future = loop.begin(work)
        slack = 2 * BEAT + 1.0
        try:
            done, _ = await asyncio.wait([future], timeout=policy.attempt_timeout + slack)
            while not done and not loop.stuck:
                # Between attempts, or in a later one: its own loop keeps the time.
                done, _ = await asyncio.wait([future], timeout=BEAT)
            if done:
                return future.result()
            return work.late(policy.attempt_timeout)
        finally:
            future.cancel()
            if loop is not self._shared:
                self._retire(loop)

    def _retire(self, loop: CallLoop) -> None:
        """It takes no more calls: end it when nobody waits for one of it."""
        if not loop.busy and not self._closed:
            asyncio.get_running_loop().create_task(loop.close(CLOSE_SECONDS), name="retire calls")

    async def _beat(self) -> None:
        clock = asyncio.get_running_loop().time
        last = clock()
        while any(loop.busy for loop in self._loops):
            await asyncio.sleep(BEAT)
            now = clock()
            was_late, last = now - last > 3 * BEAT, now
            if was_late:
                continue  # we were held up ourselves: their answers may be about to arrive
            for loop in list(self._loops):
                if loop.busy and loop.beat(now):
                    self._found_stuck(loop)

    def _found_stuck(self, loop: CallLoop) -> None:
        culprit, stack = loop.culprit()
        told = {"stack": stack}
        if culprit is not None:
            function = culprit.handler.function
            self._blocking.add(function)
            self._loops[loop] = function
            told |= {"call": culprit.call.call, "handler": function.__qualname__}
        self._services.alarm("a call blocks its thread", **told)
        if loop is self._shared:
            self._shared = None
        loop.move(culprit)

    async def close(self) -> None:
        """See `CallPlace`."""
        self._closed = True
        if self._beating is not None:
            self._beating.cancel()
        await asyncio.gather(*(loop.close(CLOSE_SECONDS) for loop in list(self._loops)))
