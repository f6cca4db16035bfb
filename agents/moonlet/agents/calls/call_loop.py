"""An event loop for calls, in a thread of its own: what blocks there keeps no agent waiting."""

import asyncio
import sys
import threading
import traceback
from types import FrameType
from typing import Final

from moonlet.agents.calls.call_work import WORK_FILE, CallWork, Finished
from moonlet.agents.calls.resources import InThread, Resources, post

STUCK: Final = 1.0
"""Seconds without a step after which something blocks the loop."""

END_TASKS: Final = 0.5
"""Seconds that cancelled attempts have to end with their loop."""

STACK_LINES: Final = 12
"""Lines that are shown of the stack of what blocks it, the last ones."""


class CallLoop:
    """The loop of many calls, or of one that is known to block. Used from the host's loop.

    The thread ends after `close`, or when what blocks it has ended.
    """

    def __init__(self, in_thread: InThread) -> None:
        self._host = asyncio.get_running_loop()
        self._in_thread = in_thread
        self._loop = asyncio.new_event_loop()
        self._waiting: dict[CallWork, asyncio.Future[Finished]] = {}
        self._tasks: dict[CallWork, asyncio.Task[Finished]] = {}
        self._resources: Resources | None = None
        self._asked = self._answered = 0.0
        self.stuck = self._closing = self._stopped = False
        self.ended: asyncio.Future[None] = self._host.create_future()
        self._thread = threading.Thread(target=self._serve, name="moonlet calls", daemon=True)
        self._thread.start()

    # in the host's thread

    @property
    def busy(self) -> bool:
        """Whether somebody waits for a call of it."""
        return bool(self._waiting)

    def begin(self, work: CallWork) -> "asyncio.Future[Finished]":
        """Run it; the future can be cancelled."""
        future: asyncio.Future[Finished] = self._host.create_future()
        self._waiting[work] = future
        future.add_done_callback(lambda _: self._let_go(work))
        post(self._loop, lambda: self._start(work))
        return future

    def _let_go(self, work: CallWork) -> None:
        """Nobody waits any more."""
        if self._waiting.pop(work, None) is not None and work in self._tasks:
            post(self._loop, lambda: self._cancel(work))

    def beat(self, now: float) -> bool:
        """Ask whether it lives; whether it has just been found stuck."""
        if self.stuck:
            return False
        if self._answered >= self._asked:
            self._asked = now
            post(self._loop, lambda: self._answer(now))
        elif now - self._asked >= STUCK:
            self.stuck = True
            return True
        return False

    def culprit(self) -> tuple[CallWork | None, str]:
        """Which call's step blocks the loop, and the end of its stack, from its handler on."""
        frame = sys._current_frames().get(self._thread.ident or 0)
        frames = traceback.extract_stack(frame) if frame is not None else []
        ours = [place for place, entry in enumerate(frames) if entry.filename == WORK_FILE]
        theirs = frames[ours[-1] + 1 :] if ours else frames
        return _work_of(frame), "".join(traceback.format_list(theirs[-STACK_LINES:]))

    def move(self, but: CallWork | None) -> None:
        """Have all other calls run again elsewhere: their futures raise `Moved`."""
        for work, future in list(self._waiting.items()):
            if work is not but and not future.done():
                future.set_exception(Moved())

    async def close(self, seconds: float) -> None:
        """End the thread, and close its resources; one that is stuck is left alone."""
        if not self._closing:
            self._closing = True
            post(self._loop, self._stop)
        if not self.stuck:
            await asyncio.wait([self.ended], timeout=seconds)

    def _note_end(self) -> None:
        if not self.ended.done():
            self.ended.set_result(None)

    # in its own

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            while not self._stopped:  # a call may stop it, and must not end all others
                self._loop.run_forever()
            self._loop.run_until_complete(self._end_tasks())
        finally:
            self._loop.close()
            post(self._host, self._note_end)

    async def _end_tasks(self) -> None:
        """Attempts that nobody waits for any more; those that won't end are left."""
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=END_TASKS)

    def _answer(self, asked: float) -> None:
        self._answered = max(self._answered, asked)

    def _start(self, work: CallWork) -> None:
        if self._resources is None:
            self._resources = Resources(self._in_thread)
        if work not in self._waiting:
            return
        task = self._loop.create_task(
            work.run(self._resources, self._in_thread), name=f"call {work.call.call}"
        )
        self._tasks[work] = task
        task.add_done_callback(lambda task: self._done(work, task))

    def _done(self, work: CallWork, task: "asyncio.Task[Finished]") -> None:
        self._tasks.pop(work, None)
        post(self._host, lambda: self._land(work, task))

    def _land(self, work: CallWork, task: "asyncio.Task[Finished]") -> None:
        future = self._waiting.get(work)
        if future is None or future.done():
            return
        if task.cancelled():  # not by us: by a call that cancels whatever runs beside it
            future.set_exception(Moved(alone=True))
            return
        error = task.exception()
        if error is None:
            future.set_result(task.result())
        else:
            future.set_exception(error)

    def _cancel(self, work: CallWork) -> None:
        task = self._tasks.get(work)
        if task is not None:
            task.cancel()

    def _stop(self) -> None:
        task = self._loop.create_task(self._wind_up())
        task.add_done_callback(lambda _: self._end())

    def _end(self) -> None:
        self._stopped = True
        self._loop.stop()

    async def _wind_up(self) -> None:
        for task in list(self._tasks.values()):
            task.cancel()
        if self._resources is not None:
            await self._resources.close()


class Moved(Exception):
    """What else ran in the call's thread blocks it, or cancelled it: the call runs once more.

    `alone`: in a thread of its own, since nobody can tell which call it was.
    """

    def __init__(self, *, alone: bool = False) -> None:
        super().__init__()
        self.alone = alone


def _work_of(frame: FrameType | None) -> CallWork | None:
    """Whose step a thread is in: the nearest frame that belongs to a call's work."""
    while frame is not None:
        work = frame.f_locals.get("self")
        if isinstance(work, CallWork):
            return work
        frame = frame.f_back
    return None
