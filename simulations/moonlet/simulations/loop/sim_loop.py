"""The event loop of a run: ordinary asyncio code, virtual time, one order of steps per seed.

A batch is what asyncio's is: timers that are due, then everything that was ready when it began,
first in, first out. When nothing is ready the clock, an integer of nanoseconds, jumps to the next
timer. Variation comes from latencies and faults, never from the order of the ready queue: that is
documented, and code may trust it.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import threading
from asyncio import events, format_helpers
from collections import Counter, deque
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, TypeVar

from moonlet.simulations.errors import Deadlock, Escape, Livelock
from moonlet.simulations.loop.asyncgens import AsyncGenerators
from moonlet.simulations.loop.node import LIFE, Life, Node
from moonlet.simulations.loop.offline import OfflineLoop
from moonlet.simulations.loop.registry import TaskRegistry
from moonlet.simulations.loop.tasks import AsyncioTask, SimFuture, SimHandle, SimTask, SimTimer
from moonlet.simulations.loop.timers import LoopTimers
from moonlet.simulations.loop.waits import waiting
from moonlet.simulations.trace import BLOCK_STEPS, Trace

T = TypeVar("T")

SECOND_NS = 1_000_000_000
STEPS_PER_INSTANT_MAX = 200_000
FOREVER_NS = 1 << 62
BLOCKS_PER_COLLECTION = 4096  # a collection of garbage each million steps, always at the same one


class SimLoop(OfflineLoop):
    """A deterministic event loop. `now_ns` is the world's clock; `time()` the current node's.

    `outside` is a context that belongs to no node: messages in flight and faults run in it, and
    outlive a crash.
    """

    _ready: deque[events.Handle]
    _stopping: bool
    _closed: bool

    def __init__(self, trace: Trace | None = None) -> None:
        super().__init__()
        self.trace = Trace() if trace is None else trace
        self.now_ns = 0
        self.outside = contextvars.Context()
        self.nodes: dict[str, Node] = {}
        self.lives: list[Life] = []  # the dead ones too: they keep what must not be closed yet
        self.tasks = TaskRegistry()
        self._timers = LoopTimers()
        self._halt_ns = FOREVER_NS
        self._halt: Callable[[], object] | None = None
        self._futures_hashed = 0
        self._instant_began = 0  # in steps, to the block
        self._block_ended_ns = -1
        self._asyncgens = AsyncGenerators()

    # Identity.

    def next_future(self) -> int:
        """The number of the next future that is hashed."""
        self._futures_hashed += 1
        return self._futures_hashed

    def node(self, name: str) -> Node:
        """The node of that name, made at the first call."""
        found = self.nodes.get(name)
        if found is None:
            found = self.nodes[name] = Node(self, name)
        return found

    def create_future(self) -> SimFuture[Any]:
        """A future of this loop."""
        return SimFuture(loop=self)

    def create_task(  # type: ignore[override]
        self,
        coro: Coroutine[Any, Any, T],
        *,
        name: str | None = None,
        context: contextvars.Context | None = None,
        **eager: bool,
    ) -> SimTask[T]:
        """A task of the node of its context, called `qualname#number` if it gets no name.

        A task factory must not make asyncio's own tasks, which hash by their address.
        """
        self._check_closed()  # type: ignore[attr-defined]
        factory = self.get_task_factory()
        if factory is not None and factory is getattr(asyncio, "eager_task_factory", None):
            eager["eager_start"] = True
        elif factory is not None:
            task: SimTask[T] = self._check_made(
                super().create_task(coro, name=name, context=context)
            )
            return task
        return SimTask(coro, loop=self, name=name, context=context, **eager)

    def _check_made(self, task: Any) -> Any:
        if isinstance(task, AsyncioTask) and SimTask not in type(task).__mro__:
            raise self.escape(
                "a factory of asyncio's own tasks", "make them with asyncio.Task in the run"
            )
        return task

    # Time.

    def time(self) -> float:
        """Seconds on the current node's monotonic clock."""
        life = LIFE.get(None)
        return (self.now_ns if life is None else life.node.local_ns(self.now_ns)) / SECOND_NS

    def end_with(self, error: Escape) -> None:
        """The run fails with it, and goes on to its next step no more. From any thread."""
        self.escapes.append(error)

        def end() -> None:
            raise error

        self._halt_ns, self._halt = -1, end

    def halt_at(self, at_ns: int, call: Callable[[], object]) -> None:
        """Call once, between two steps, before the clock goes beyond that moment.

        No step and no timer of the run: its trace is the same. What `call` raises ends the run.
        """
        self._halt_ns, self._halt = at_ns, call

    def spend(self, ns: int) -> None:
        """Let the current step take that long: the clock goes on and nothing else runs."""
        self.now_ns += ns

    def note(self, kind: str, node: str, *facts: str | int | bytes | None) -> None:
        """Write an event into the trace, at this moment."""
        self.trace.event(self.now_ns, node, kind, *facts)

    # Callbacks.

    def call_soon(  # type: ignore[override]
        self,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> events.Handle:
        """As asyncio's: first in, first out."""
        if self._closed:
            self._check_closed()  # type: ignore[attr-defined]
        handle = SimHandle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_soon_threadsafe(  # type: ignore[override]
        self,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> events.Handle:
        """As `call_soon`; a run has one thread."""
        runs_in = self._thread_id  # type: ignore[attr-defined]
        if runs_in is not None and runs_in != threading.get_ident():
            raise self.escape("call_soon_threadsafe() from another thread", "asyncio.to_thread()")
        return self.call_soon(callback, *args, context=context)

    def call_later(  # type: ignore[override]
        self,
        delay: float,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> events.TimerHandle:
        """As asyncio's; `delay` in seconds of the current node's clock, to the nanosecond.

        What is above 0 takes 1 ns at least: who waits for the rest of a deadline waits for more
        than nothing, on any clock.
        """
        if delay is None:
            raise TypeError("delay must not be None")
        wait_ns = max(1 if delay > 0 else 0, int(delay * SECOND_NS + 0.5))
        life = LIFE.get(None)
        if life is None:
            return self._set_timer(self.now_ns + wait_ns, callback, args, context)
        local_ns = life.node.local_ns(self.now_ns) + wait_ns
        return self._set_timer(life.node.world_ns(local_ns), callback, args, context, local_ns)

    def call_at(  # type: ignore[override]
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> events.TimerHandle:
        """As asyncio's; `when` in seconds of the current node's `time()`."""
        if when is None:
            raise TypeError("when cannot be None")
        local_ns = int(when * SECOND_NS + 0.5)
        life = LIFE.get(None)
        at_ns = local_ns if life is None else life.node.world_ns(local_ns)
        return self._set_timer(max(at_ns, self.now_ns), callback, args, context, local_ns)

    def call_at_ns(
        self,
        at_ns: int,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> events.TimerHandle:
        """Call back at that moment of the world's clock, or now if it is past."""
        if self._closed:
            self._check_closed()  # type: ignore[attr-defined]
        at_ns = at_ns if at_ns > self.now_ns else self.now_ns
        timer = SimTimer(at_ns / SECOND_NS, callback, args, self, context)
        self._timers.set(at_ns, timer)
        return timer

    def _set_timer(
        self,
        at_ns: int,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        context: contextvars.Context | None,
        local_ns: int | None = None,
    ) -> events.TimerHandle:
        if self._closed:
            self._check_closed()  # type: ignore[attr-defined]
        when = (at_ns if local_ns is None else local_ns) / SECOND_NS
        timer = SimTimer(when, callback, args, self, context)
        self._timers.set(at_ns, timer)
        return timer

    def _timer_handle_cancelled(self, handle: events.TimerHandle) -> None:
        self._timers.cancelled(handle)

    def keep_timers(self, wanted: Callable[[Any], bool]) -> None:
        """Forget all other timers; what is ready already stays."""
        self._timers.keep(wanted)

    def make_ready(self, handles: Iterable[events.Handle]) -> None:
        """Append handles to the ready queue, in their order."""
        self._ready.extend(handles)

    # Steps.

    def _run_once(self) -> None:
        """Batch after batch, until `stop`."""
        ready, steps, timers = self._ready, self.trace.steps, self._timers.heap
        pop, record = ready.popleft, steps.append
        while True:
            if not ready and not self._stopping:
                self._jump()
            elif timers and timers[0][0] <= self.now_ns:
                self._timers.move_due(self.now_ns, ready)
            for _ in range(len(ready)):
                handle = pop()
                if handle._cancelled:
                    continue
                context = handle._context  # type: ignore[attr-defined]
                life = context.get(LIFE)
                if life is not None and not life.free:
                    life.take(handle)
                    continue
                callback = handle._callback  # type: ignore[attr-defined]
                owner = getattr(callback, "__self__", None)
                record(self.now_ns)
                if type(owner) is SimTask:
                    record(owner.number)
                else:
                    record(0 if life is None else -life.number)
                try:
                    context.run(callback, *handle._args)
                except (SystemExit, KeyboardInterrupt):
                    raise
                except BaseException as error:
                    self._callback_died(handle, error)
            handle = callback = context = owner = life = None  # type: ignore[assignment]
            if len(steps) >= 2 * BLOCK_STEPS:
                self._end_block()
            if self._stopping:
                return

    def run_step(self, handle: events.Handle, life: Life) -> None:
        """Run one handle of that life now, inside the current step (for nodes that are slow)."""
        callback = handle._callback  # type: ignore[attr-defined]
        owner = getattr(callback, "__self__", None)
        who = owner.number if type(owner) is SimTask else -life.number
        self.trace.steps.extend((self.now_ns, who))
        try:
            handle._context.run(callback, *handle._args)  # type: ignore[attr-defined]
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self._callback_died(handle, error)

    def _jump(self) -> None:
        """Nothing is ready: go to the next timer."""
        next_ns = self._timers.move_next(self._ready)
        if next_ns is None:
            raise Deadlock(self.now_ns, waiting(self.tasks))
        if next_ns > self.now_ns:
            if next_ns > self._halt_ns:
                self._halted()
            self.now_ns = next_ns
        else:  # a step that took time went beyond it, and maybe beyond others
            self._timers.move_due(self.now_ns, self._ready)

    def _halted(self) -> None:
        self.now_ns = max(self.now_ns, self._halt_ns)
        call, self._halt, self._halt_ns = self._halt, None, FOREVER_NS
        assert call is not None
        call()

    def _end_block(self) -> None:
        steps = self.trace.count
        if self.now_ns != self._block_ended_ns:
            self._block_ended_ns, self._instant_began = self.now_ns, steps
        elif steps - self._instant_began > STEPS_PER_INSTANT_MAX:
            raise Livelock(self.now_ns, steps - self._instant_began, self._busiest())
        self.trace.checkpoint()
        if len(self.trace.checkpoints) % BLOCKS_PER_COLLECTION == 0 and not gc.isenabled():
            gc.collect()

    def _busiest(self) -> list[tuple[str, int]]:
        """The tasks, and other callbacks, that took most of the last block's steps."""
        who = Counter(self.trace.steps[1::2])
        shares = []
        for number, steps in who.most_common(5):
            task = self.tasks.find(number)
            name = "callbacks" if task is None else task.get_name()
            shares.append((name, 100 * steps // who.total()))
        return shares

    def _callback_died(self, handle: events.Handle, error: BaseException) -> None:
        callback, args = handle._callback, handle._args  # type: ignore[attr-defined]
        source = format_helpers._format_callback_source(callback, args)
        self.call_exception_handler(
            {"message": f"Exception in callback {source}", "exception": error, "handle": handle}
        )

    def abandon(self) -> None:
        """The end of the run: close what is left, in creation order, with the loop closed.

        Here the `finally` blocks of coroutines run, those of dead lives too; what they raise is
        nobody's business any more.
        """
        tasks = self.tasks.unfinished()
        for task in tasks:
            task._log_destroy_pending = False  # type: ignore[attr-defined]
        self.close()
        events._set_running_loop(self)  # or a `finally` that asks for a loop makes a real one
        try:
            for task in tasks:
                with contextlib.suppress(BaseException):
                    task.get_coro().close()
        finally:
            events._set_running_loop(None)
        for life in self.lives:
            life.bury()
        self._timers.heap.clear()

    def _asyncgen_finalizer_hook(self, agen: Any) -> None:
        """Close an abandoned async generator in its node's name; never one of a dead node."""
        life = self._asyncgens.forget(agen)
        if self.is_closed() or (life is not None and not life.alive):
            return
        context = self.outside if life is None else life.context
        self.call_soon(self.create_task, agen.aclose(), context=context)
