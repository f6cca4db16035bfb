"""A process that starts a host's process, hears that it lives, and starts it again.

The host is forked, and neither this process nor its memory is ever touched by the code of agents.
A host that a handler blocked ends by itself (79); one that says nothing more, since code in C holds
the interpreter's lock, is killed here. What it ran then stands in memory that both share, and the
next one writes the mark before it runs anything.
"""

import ctypes
import mmap
import os
import select
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from types import FrameType
from typing import Final, NoReturn

import msgspec

from moonlet.agents import EXIT_BLOCKED, Running, Work, WorkNote
from moonlet.console.common.exits import ExitCode
from moonlet.streams import Blocked
from moonlet.telemetry import get_logger

log = get_logger(__name__)

RESTARTS: Final = 5
"""How often a host is started again within `WINDOW`, unless told otherwise."""

WINDOW: Final = 600.0
"""Seconds within which restarts are counted."""

PAUSE: Final = (0.2, 5.0)
"""Seconds before a restart: the first, doubling, and the most."""

SILENCE: Final = 3.0
"""Seconds over the limit without a sign of life after which a host is killed."""

STEP: Final = 0.25
"""Seconds between two looks; one counts for twice that at most, lest we were stopped ourselves."""

NOTE_BYTES: Final = 4_096
"""Bytes of the memory in which a host notes what it runs."""

_ENCODE: Final = msgspec.msgpack.Encoder().encode
_DECODE: Final = msgspec.msgpack.Decoder(WorkNote).decode


class NotedRunning(Running):
    """`Running` that also stands in memory which outlives the process."""

    def __init__(self, memory: mmap.mmap) -> None:
        self._memory = memory
        self._work: Work | None = None

    @property
    def work(self) -> Work | None:
        """What runs now."""
        return self._work

    @work.setter
    def work(self, work: Work | None) -> None:
        self._work = work
        memory = self._memory
        if work is None:
            memory[0] = 0
            return
        note = _ENCODE(work.noted())
        if len(note) <= NOTE_BYTES - 3:
            memory[1 : 3 + len(note)] = len(note).to_bytes(2, "big") + note
            memory[0] = 1


class Child:
    """What the host's process has of the one that started it.

    `running` and `beat` are for its host; `former` is the mark of what ended the host before.
    """

    def __init__(self, running: Running, heart: int | None, former: Blocked | None) -> None:
        self.running = running
        self.former = former
        self._heart = heart

    def beat(self) -> None:
        """The loop turns."""
        self._say(b".")

    def ends(self) -> None:
        """It stops in good order: silence means nothing any more."""
        self._say(b"e")

    def _say(self, sign: bytes) -> None:
        if self._heart is not None:
            with suppress(OSError):  # the pipe is full, or its reader gone: the kernel ends us then
                os.write(self._heart, sign)


def supervise(
    serve: Callable[[Child], int],
    *,
    restarts: int,
    limit: float,
    kept: Callable[[], AbstractContextManager[object]] = nullcontext,
) -> int:
    """Run `serve` in a process of its own, again up to `restarts` times; returns its exit code.

    With 0 restarts it runs in this process. `limit` (seconds, 0: none) is that of handlers.
    SIGTERM, SIGINT and SIGHUP are passed on. What is logged here is logged within `kept`, whose
    threads are to end with it, since a process that is forked has none of them.
    """
    if not restarts:
        return serve(Child(Running(), None, None))
    return _Supervisor(serve, restarts, limit, kept).run()


class _Supervisor:
    def __init__(
        self,
        serve: Callable[[Child], int],
        restarts: int,
        limit: float,
        kept: Callable[[], AbstractContextManager[object]],
    ) -> None:
        self._kept = kept
        self._serve = serve
        self._restarts = restarts
        self._limit = limit
        self._memory = mmap.mmap(-1, NOTE_BYTES)
        self._pid = 0
        self._told = 0  # the signal that was passed on
        self._beats = False
        self._former: Blocked | None = None

    def run(self) -> int:
        """Until it ends for good."""
        ends: deque[float] = deque()
        before = {n: signal.signal(n, self._pass_on) for n in _PASSED_ON}
        try:
            while True:
                code = self._once()
                now = time.monotonic()
                while ends and now - ends[0] > WINDOW:
                    ends.popleft()
                again = self._is_to_be_restarted(code, bool(ends)) and len(ends) < self._restarts
                if not again:
                    return self._end(code)
                ends.append(now)
                pause = min(PAUSE[0] * 2 ** (len(ends) - 1), PAUSE[1])
                with self._kept():
                    log.warning("a host is started again", ended=_told(code), restart=len(ends))
                time.sleep(pause)
                if self._told:
                    return ExitCode.OK
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _is_to_be_restarted(self, code: int, again: bool) -> bool:
        """After an end that a handler caused, or a crash; `again`: after one of those already.

        A server that its host had started ends with it, and takes a moment: so one that reached
        none comes again too.
        """
        if self._told:
            return False
        return code == EXIT_BLOCKED or code < 0 or (again and code == ExitCode.UNAVAILABLE)

    def _end(self, code: int) -> int:
        if code >= 0:
            return code
        with suppress(OSError):  # as if we had been what died
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
        return ExitCode.INTERNAL

    def _pass_on(self, number: int, _: FrameType | None) -> None:
        self._told = number
        if self._pid:
            with suppress(ProcessLookupError):
                os.kill(self._pid, number)

    def _once(self) -> int:
        """One life of the host: its exit code, negative if a signal ended it."""
        heart, beat = os.pipe()
        life, ours = os.pipe()
        self._memory[0] = 0
        self._beats = False
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            for number in _PASSED_ON:
                signal.signal(number, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            os.close(heart)
            os.close(ours)
            self._be(beat, life)
        self._pid = pid
        os.close(beat)
        os.close(life)
        try:
            if self._told:  # it came while there was nobody to pass it on to
                os.kill(pid, self._told)
            return self._watch(pid, heart)
        finally:
            self._pid = 0
            os.close(heart)
            os.close(ours)

    def _be(self, beat: int, life: int) -> NoReturn:
        """The child's whole life."""
        code: int = ExitCode.INTERNAL
        try:
            os.setpgid(0, 0)  # Ctrl-C comes by us, once
            _die_with_parent(life)
            os.set_blocking(beat, False)
            child = Child(NotedRunning(self._memory), beat, self._former)
            code = self._serve(child)
        finally:
            with suppress(Exception):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)

    def _watch(self, pid: int, heart: int) -> int:
        silent, last, listening = 0.0, time.monotonic(), True
        while True:
            if listening:
                ready, _, _ = select.select([heart], [], [], STEP)
            else:
                time.sleep(STEP / 5)
                ready = []
            if ready:
                signs = os.read(heart, 65_536)
                listening = bool(signs)
                self._beats = bool(signs) and b"e" not in signs
                silent = 0.0
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                self._former = None
                return os.waitstatus_to_exitcode(status)
            now = time.monotonic()
            step, last = min(now - last, 2 * STEP), now
            if self._beats and self._limit and not _is_stopped(pid):
                silent += step
            if silent > self._limit + SILENCE and self._limit:
                return self._kill(pid, silent)

    def _kill(self, pid: int, silent: float) -> int:
        """It says nothing more, nor could its own watch end it."""
        self._former = self._noted(silent)
        what = msgspec.to_builtins(self._former) if self._former is not None else {}
        with self._kept():
            log.error("a host says nothing more, and is killed", seconds=round(silent, 1), ran=what)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        return EXIT_BLOCKED

    def _noted(self, seconds: float) -> Blocked | None:
        """The mark of what it ran."""
        memory = self._memory
        if not memory[0]:
            return None
        try:
            note = _DECODE(memory[3 : 3 + int.from_bytes(memory[1:3], "big")])
        except msgspec.MsgspecError:
            return None
        return note.mark(
            host=f"process {self._pid}",
            seconds=seconds,
            limit=self._limit,
            ended=True,
            stack="it held the interpreter's lock: its host's log has the stacks of all threads",
        )


_PASSED_ON: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def _told(code: int) -> str:
    if code < 0:
        return signal.Signals(-code).name
    return "a handler blocked it" if code == EXIT_BLOCKED else f"exit code {code}"


def _die_with_parent(life: int) -> None:
    """However the parent ends: at once on Linux, and else when its end of a pipe closes."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG

    def watch() -> None:
        os.read(life, 1)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, name="parent", daemon=True).start()


def _is_stopped(pid: int) -> bool:
    """Whether somebody stopped it (SIGSTOP, a debugger): it is not its handlers' fault then."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:
            return stat.read().rpartition(b")")[2].split()[0] in (b"T", b"t")
    except (OSError, IndexError):
        return False
