"""A simulated process: what a crash ends, a pause holds up and a bad clock misleads."""

from __future__ import annotations

import contextvars
from asyncio import Handle, Task, TimerHandle
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any, Protocol, TypeVar

T = TypeVar("T")

EPOCH_NS = 1_700_000_000_000_000_000
"""When runs begin, in nanoseconds since 1970, unless they continue a history."""

MILLION = 1_000_000

LIFE: contextvars.ContextVar[Life] = contextvars.ContextVar("moonlet_life")


class TasksOfLives(Protocol):
    """The tasks of a loop, by the life that they belong to."""

    def of(self, life: Life | None) -> Sequence[object]:
        """The unfinished tasks of that life, or of the driver."""
        ...


class NodeLoop(Protocol):
    """What nodes ask of the loop that they live on."""

    now_ns: int
    epoch_ns: int
    outside: contextvars.Context
    lives: list[Life]

    @property
    def tasks(self) -> TasksOfLives:
        """Its tasks."""
        ...

    def create_task(
        self, coro: Coroutine[Any, Any, T], *, name: str | None, context: contextvars.Context
    ) -> Task[T]:
        """A task of the node of `context`."""
        ...

    def call_at_ns(
        self, at_ns: int, callback: Callable[..., object], *, context: contextvars.Context
    ) -> TimerHandle:
        """Call back at that moment of the world's clock, or now if it is past."""
        ...

    def make_ready(self, handles: Iterable[Handle]) -> None:
        """Append handles to the ready queue, in their order."""
        ...

    def run_step(self, handle: Handle, life: Life) -> None:
        """Run one handle of that life now, inside the current step."""
        ...


class Life:
    """One boot of a node. Every handle and task of its `context` belongs to it.

    A dead life keeps what it was about to run: were it dropped, the coroutines would be closed
    and their `finally` blocks would run, which a power cut doesn't do.
    """

    __slots__ = (
        "_busy_until_ns", "_draining", "_parked", "_queue", "_waste", "alive", "context", "free",
        "node", "number", "paused",
    )  # fmt: skip

    def __init__(self, node: Node) -> None:
        self.node = node
        node.loop.lives.append(self)
        self.number = len(node.loop.lives)
        self.alive = True
        self.paused = False
        self.free = not node.step_ns  # its handles run without asking
        self.context = contextvars.Context()
        self.context.run(LIFE.set, self)
        self._parked: list[Handle] = []
        self._queue: deque[Handle] = deque()
        self._waste: list[object] = []
        self._busy_until_ns = 0
        self._draining = False

    def take(self, handle: Handle) -> None:
        """Keep a handle that may not run now: dead, paused or slow."""
        if not self.alive:
            self._waste.append(handle)
        elif self.paused:
            self._parked.append(handle)
        else:
            self._queue.append(handle)
            self._drain_later()

    def end(self) -> None:
        """Power off: nothing of this life runs again."""
        self.alive = self.free = False
        self._waste += [*self._parked, *self._queue, *self.node.loop.tasks.of(self)]
        self._parked.clear()
        self._queue.clear()

    def pause(self) -> None:
        """Hold everything up."""
        self.paused, self.free = True, False

    def resume(self) -> None:
        """Go on, with what was held up, in its order."""
        self.paused = False
        self.retune()
        self.node.loop.make_ready(self._parked)
        self._parked.clear()

    def retune(self) -> None:
        """Follow a new price of the node's steps."""
        self.free = self.alive and not self.paused and not self.node.step_ns
        if self.free:
            self.node.loop.make_ready(self._queue)
            self._queue.clear()
        elif self._queue:
            self._drain_later()

    def bury(self) -> None:
        """Let go of what a dead life kept, at the end of the run."""
        self._waste.clear()

    def _drain_later(self) -> None:
        if not self._draining:
            self._draining = True
            loop = self.node.loop
            loop.call_at_ns(
                max(self._busy_until_ns, loop.now_ns), self._drain, context=loop.outside
            )

    def _drain(self) -> None:
        self._draining = False
        if not self.alive or self.paused or self.free:
            return
        while self._queue:
            handle = self._queue.popleft()
            if not handle.cancelled():
                self._busy_until_ns = self.node.loop.now_ns + self.node.step_ns
                self.node.loop.run_step(handle, self)
                break
        if self._queue:
            self._drain_later()


class Node:
    """A simulated process by name; `SimLoop.node` makes it. Verbs take effect at once.

    A step that calls `crash` on its own node goes on to its next `await`: the ports must ask
    `up` (or the life) before they let anything out.
    """

    __slots__ = (
        "_drift_from_ns", "_drift_ppm", "_local_from_ns", "life", "loop", "name", "skew_ns",
        "step_ns",
    )  # fmt: skip

    def __init__(self, loop: NodeLoop, name: str) -> None:
        self.loop = loop
        self.name = name
        self.skew_ns = 0
        self.step_ns = 0
        self._drift_ppm = 0
        self._drift_from_ns = self._local_from_ns = 0
        self.life = Life(self)

    def __repr__(self) -> str:
        state = "paused" if self.life.paused else "up" if self.life.alive else "down"
        return f"<Node {self.name} {state}>"

    @property
    def up(self) -> bool:
        """False between a crash and the restart."""
        return self.life.alive

    def spawn(self, coro: Coroutine[Any, Any, T], *, name: str | None = None) -> Task[T]:
        """Start a coroutine as a task of this node, in a copy of its life's context."""
        return self.loop.create_task(coro, name=name, context=self.life.context.copy())

    def crash(self) -> None:
        """A power cut: no `finally`, no `CancelledError`; what ran never runs again."""
        if self.life.alive:
            self.life.end()

    def restart(self) -> None:
        """A new life, empty: the caller spawns its main coroutine. The node must be down."""
        assert not self.life.alive, f"{self.name} is up: crash it first"
        self.life = Life(self)

    def pause(self) -> None:
        """Stop the process as SIGSTOP does: its timers and messages wait, the world goes on."""
        if self.life.alive:
            self.life.pause()

    def resume(self) -> None:
        """Go on after `pause`, in the order in which things became ready."""
        if self.life.alive and self.life.paused:
            self.life.resume()

    def slow(self, step_ns: int) -> None:
        """From now on each step takes that long, one after the other; 0 ends it."""
        self.step_ns = step_ns
        self.life.retune()

    def drift(self, ppm: int) -> None:
        """From now on its clocks gain `ppm` microseconds a second (negative: lose).

        Timers that are set already stay where they are.
        """
        assert ppm > -MILLION, ppm
        now = self.loop.now_ns
        self._local_from_ns = self.local_ns(now)
        self._drift_from_ns, self._drift_ppm = now, ppm

    def local_ns(self, now_ns: int) -> int:
        """Its monotonic clock at that moment of the world, in nanoseconds: drift, no skew."""
        gone = now_ns - self._drift_from_ns
        return self._local_from_ns + gone + gone * self._drift_ppm // MILLION

    def wall_ns(self, now_ns: int) -> int:
        """Its wall clock at that moment of the world, in nanoseconds since 1970: drift, skew."""
        return self.loop.epoch_ns + self.local_ns(now_ns) + self.skew_ns

    def world_ns(self, local_ns: int) -> int:
        """The first moment of the world at which its monotonic clock shows `local_ns` or more."""
        gone = local_ns - self._local_from_ns
        return self._drift_from_ns - (-gone * MILLION // (MILLION + self._drift_ppm))


def current_node() -> Node | None:
    """The node whose step is running, or None outside all nodes (the driver of the run)."""
    life = LIFE.get(None)
    return None if life is None else life.node
