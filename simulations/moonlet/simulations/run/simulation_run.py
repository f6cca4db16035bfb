"""One run of one seed, from an empty world to its end."""

from __future__ import annotations

import contextlib
import gc
import sys
import warnings
from collections.abc import Callable, Coroutine, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from moonlet.simulations.errors import SilentDeath
from moonlet.simulations.guard import Guard, active_judge
from moonlet.simulations.loop import SimLoop
from moonlet.simulations.run.step_watch import StepWatch
from moonlet.simulations.seed import Seed
from moonlet.simulations.trace import Trace

if TYPE_CHECKING:
    from moonlet.agents import AgentType

T = TypeVar("T")


class SimulationRun:
    """A loop, a seed and a guard for one run; `loop` and `trace` stay readable after it.

    `watch` is ring 3 of the guard; None means where it is cheap (Python 3.12 and later). `strict`
    are the agent types whose handlers must be pure, as `Guard` says. `watched`: a step that never
    ends is ended, by a thread; one that forks can't have that.
    """

    def __init__(
        self,
        seed: int,
        *,
        strict: tuple[AgentType[Any], ...] = (),
        watch: bool | None = None,
        trace: Trace | None = None,
        watched: bool = True,
    ) -> None:
        self.seed = Seed(seed)
        self.loop = SimLoop(trace)
        self.trace = self.loop.trace
        self._watched = watched
        self._guard = Guard(self.loop, self.seed, strict=strict, watch=watch)

    def run(
        self,
        main: Callable[[], Coroutine[Any, Any, T]],
        *,
        is_last: Callable[[], bool] = lambda: False,
    ) -> T:
        """Run `main()` as the driver, which belongs to no node, and end the run. Once.

        What `main` raises comes out, and `Deadlock`, `Livelock`, `Diverged`. If it returns, an
        `Escape` that somebody swallowed is raised, or `SilentDeath` for a task that died unseen.
        Tasks that are left over are closed outside the loop, in creation order, unless all went
        well and `is_last` says that the process ends with this run.
        """
        loop, tidy = self.loop, True
        inside = active_judge() is not None  # another run, and the guard says so
        watched = self._watched and not inside
        watch = StepWatch(loop) if watched else contextlib.nullcontext()
        with _own_garbage(), watch, self._guard:
            try:
                value = self._finish(loop.run_until_complete(main()))
                tidy = not is_last()
                return value
            except BaseException as error:
                for line in (*map(str, loop.escapes), *loop.deaths):
                    if line not in str(error):
                        error.add_note(f"before: {line}")
                raise
            finally:
                self.trace.end()
                if tidy:
                    with _muted():
                        loop.abandon()
                        gc.collect()

    def _finish(self, value: T) -> T:
        loop = self.loop
        self.trace.checkpoint()  # compares the last block too, if there is a trace to replay
        for task in loop.tasks.known():
            unseen = task.done() and task._log_traceback
            if unseen and (task.life is None or task.life.alive):
                loop.note_death(task.get_name(), "raised, and nobody asked", task.exception())
        if loop.escapes:
            raise loop.escapes[0]
        if loop.deaths:
            raise SilentDeath(loop.deaths)
        return value


@contextlib.contextmanager
def _own_garbage() -> Iterator[None]:
    """Collect garbage at fixed steps only, none from before the run, and call nobody about it."""
    was_enabled, callbacks = gc.isenabled(), gc.callbacks[:]
    gc.disable()
    gc.freeze()
    gc.callbacks.clear()
    try:
        yield
    finally:
        gc.callbacks[:] = callbacks
        gc.unfreeze()
        if was_enabled:
            gc.enable()


@contextlib.contextmanager
def _muted() -> Iterator[None]:
    """The last words of abandoned coroutines are not for the reader."""
    hook = sys.unraisablehook
    sys.unraisablehook = lambda _: None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        sys.unraisablehook = hook
