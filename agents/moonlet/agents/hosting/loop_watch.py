"""A thread beside a host's loop: it names what keeps the loop, and ends what never ends.

A blocked loop can't say so itself: it renews no lease, answers nobody, and writes no log. A handler
that runs 0.1 s is warned of; before the lease runs out it is marked, so that the next owner lets
its agent wait and runs the others; over the limit the process ends, and exactly that command is
parked. While code in C holds the interpreter's lock this thread stands still too: `faulthandler`
then writes where, and `moonlet run`, which hears no heartbeat, ends the process.
"""

import asyncio
import faulthandler
import os
import sys
import threading
import time
import traceback
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from typing import Final, NamedTuple, Protocol

from moonlet.agents.deciding import Running, Work, WorkNote
from moonlet.core.errors import MoonletError
from moonlet.core.ids import AgentId
from moonlet.streams import Blocked, BlockedMarks, Bus, Leases
from moonlet.telemetry import get_logger

log = get_logger(__name__)

EXIT_BLOCKED: Final = 79
"""How a process ends that a handler kept over the limit; also a host's under `moonlet run`."""

LIMIT: Final = 10.0
"""Seconds that a handler, a fold or a query may keep the loop, unless a host is told otherwise."""

WARN: Final = 0.1
"""Seconds from which it is warned of."""

POLL: Final = 0.025
"""Seconds between two looks; what ran at two looks is at least their distance old."""

STILL: Final = 1.0
"""Seconds after which it is named though it still runs."""

MARGIN: Final = 0.25
"""Seconds over the limit that are granted, so that what ends at the limit has ended."""

STEP_MAX: Final = 0.25
"""Seconds that one look counts for: a process that was stopped did not run meanwhile."""

WRITE_MAX: Final = 3.0
"""Seconds that a mark may take; without it the next owners find out by themselves."""

FRAMES: Final = 24
"""Frames of a stack that are kept: the innermost."""

STACK_MAX: Final = 4_000
"""Characters of it."""

OpenBus = Callable[[AsyncExitStack], Awaitable[Bus]]
"""Opens a further connection to the host's server."""


class Beats(Protocol):
    """Who is told that the loop turns: the parent process, under `moonlet run`."""

    def beat(self) -> None:
        """The loop has just turned; called from it, some times a second. Must not block."""
        ...


class Found(NamedTuple):
    """What keeps the loop, for how long, and where it was."""

    note: WorkNote
    seconds: float
    stack: str


class LoopWatch:
    """Made by a host on its loop. `another` opens a connection for this thread alone.

    `limit` is in seconds; 0: nothing is ended, only named. `lease` is the host's.
    """

    def __init__(
        self,
        running: Running,
        another: OpenBus,
        *,
        limit: float,
        lease: int,
        host: Callable[[], str],
        beats: Beats | None = None,
    ) -> None:
        self._running = running
        self._another = another
        self._limit = limit
        self._lease = lease
        self._host = host
        self._beats = beats
        self._mark_at = min(lease / 2, limit) if limit else 0.0
        self._loop = asyncio.get_running_loop()
        self._ident = threading.get_ident()
        self._over = threading.Event()
        self._turned = time.monotonic()
        self._turn: asyncio.TimerHandle | None = None
        self._thread = threading.Thread(target=self._watch, name="loop watch", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._turns()
        self._thread.start()

    def stop(self) -> None:
        """Watch no more; the thread ends by itself."""
        self._over.set()
        if self._turn is not None:
            self._turn.cancel()

    def _turns(self) -> None:
        self._turned = time.monotonic()
        if self._beats is not None:
            self._beats.beat()
        self._turn = self._loop.call_later(STEP_MAX, self._turns)

    # the thread

    def _watch(self) -> None:
        seen: Work | None = None
        watched = _Watched()
        last = time.monotonic()
        rearm = 0.0
        while not self._over.wait(POLL):
            now = time.monotonic()
            step, last = min(now - last, STEP_MAX), now
            if now >= rearm:
                rearm = now + 1.0
                self._arm()
            work = self._running.work
            if work is not None and work is seen:
                watched.seconds += step
                self._look(work, watched)
            else:
                if watched.stack or watched.marked:
                    self._passed(watched)
                seen, watched = work, _Watched()
            self._look_at_loop(now)
        if self._limit:
            faulthandler.cancel_dump_traceback_later()

    def _arm(self) -> None:
        """Have the stacks written by a thread in C if this one does not come back in time."""
        if self._limit:
            with suppress(ValueError, OSError, RuntimeError):  # stderr may be no file
                faulthandler.dump_traceback_later(self._limit + 1, exit=False, file=sys.stderr)

    def _look(self, work: Work, watched: "_Watched") -> None:
        seconds = watched.seconds
        if seconds < WARN - POLL:
            return
        if watched.note is None:
            watched.note, watched.stack = work.noted(), self._stack()
        if seconds >= STILL and not watched.told:
            watched.told = True
            self._tell("a handler keeps its host from everything else", watched)
        if self._limit and seconds >= self._mark_at and not watched.marked and watched.note.agent:
            watched.marked = True
            self._write(self._mark(watched, ended=False))
        if self._limit and seconds >= self._limit + MARGIN:
            self._end(work, watched)

    def _passed(self, watched: "_Watched") -> None:
        """It has come to its end after all."""
        if watched.note is not None:
            self._tell("a handler blocked its host", watched)
        if watched.marked and watched.note is not None:
            self._write(None, AgentId.parse(watched.note.agent))

    def _end(self, work: Work, watched: "_Watched") -> None:
        watched.stack = self._stack()
        log.error("a handler ran too long: its process ends", limit=self._limit, **watched.facts())
        if watched.note is not None and watched.note.agent:
            self._write(self._mark(watched, ended=True), leave=True)
        if self._running.work is not work:  # it came to its end while that was written
            return
        for stream in (sys.stdout, sys.stderr):
            with suppress(Exception):
                stream.flush()
        os._exit(EXIT_BLOCKED)

    def _tell(self, what: str, watched: "_Watched") -> None:
        log.warning(what, **watched.facts())

    def _look_at_loop(self, now: float) -> None:
        """Whatever else keeps the loop: a call, a library, the program itself."""
        if self._running.work is None and now - self._turned > STEP_MAX + STILL:
            stack, task = self._stack(), ""
            with suppress(Exception):
                current = asyncio.current_task(self._loop)
                task = current.get_name() if current is not None else ""
            log.warning(
                "the loop of a host is blocked",
                seconds=round(now - self._turned, 1),
                task=task,
                where=_innermost(stack),
                exception=stack,
            )
            self._turned = now + 3_600  # said once; the loop's next turn sets it right

    # marks

    def _mark(self, watched: "_Watched", *, ended: bool) -> Blocked:
        note = watched.note
        assert note is not None
        return note.mark(
            host=self._host(),
            seconds=watched.seconds,
            limit=self._limit,
            ended=ended,
            stack=watched.stack,
        )

    def _write(
        self, mark: Blocked | None, agent: AgentId | None = None, *, leave: bool = False
    ) -> None:
        """Write a mark, or take the agent's away, over a connection of this thread's own."""

        async def write() -> None:
            async with asyncio.timeout(WRITE_MAX), AsyncExitStack() as stack:
                bus = await self._another(stack)
                marks = BlockedMarks(bus)
                if mark is not None:
                    await marks.put(mark, timeout=WRITE_MAX)
                elif agent is not None:
                    await marks.delete(agent)
                if leave:
                    leases = Leases(bus, self._lease)
                    await leases.leave(self._host())
                    leases.tell()

        try:
            asyncio.run(write())
        except (MoonletError, TimeoutError, OSError) as error:
            log.warning("a mark was not written", error=str(error) or type(error).__name__)

    def _stack(self) -> str:
        frame = sys._current_frames().get(self._ident)
        if frame is None:
            return ""
        frames = traceback.extract_stack(frame)
        loops = [i for i, f in enumerate(frames) if f"{os.sep}asyncio{os.sep}" in f.filename]
        own = frames[loops[-1] + 1 :] if loops else frames  # below the loop's own
        return "".join(traceback.format_list(own[-FRAMES:]))[-STACK_MAX:]


class _Watched:
    """What is known of one call of an agent's code."""

    def __init__(self) -> None:
        self.note: WorkNote | None = None
        self.seconds = 0.0
        self.stack = ""
        self.told = False
        self.marked = False

    def facts(self) -> dict[str, object]:
        """For the log."""
        note = self.note
        named = {"agent": note.agent, note.kind: note.name} if note is not None else {}
        return {
            **named,
            "seconds": round(self.seconds, 1),
            "where": _innermost(self.stack),
            "exception": self.stack,
        }


def _innermost(stack: str) -> str:
    """The line of the innermost frame: file, line, function."""
    frames = [line.strip() for line in stack.splitlines() if line.lstrip().startswith("File ")]
    return frames[-1] if frames else ""
