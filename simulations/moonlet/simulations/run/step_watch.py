"""A thread beside a run: a step that never ends is named, and ended if Python can.

Virtual time stands still within a step, so no horizon ends it. What counts is the processor time of
the process, as it stands still where the machine has none to give.
"""

from __future__ import annotations

import ctypes
import sys
import threading
import time
from contextlib import suppress
from types import FrameType
from typing import Final, Self

from moonlet.simulations.errors import EndlessStep
from moonlet.simulations.guard import Handling, handling, is_tool
from moonlet.simulations.loop import SimLoop, where

LIMIT: Final = 5.0
"""Seconds of processor time that a step may take."""

POLL: Final = 0.5
"""Real seconds between two looks."""


class StepWatch:
    """A context manager around a run, in the thread that runs it.

    The step gets an `EndlessStep` wherever it is, and the run fails with it though somebody catches
    it. Code in C that never returns is beyond that. A debugger in the step may stay for ever.
    """

    def __init__(self, loop: SimLoop) -> None:
        self._loop = loop
        self._runner = threading.get_ident()
        self._interrupted = False
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="moonlet step watch", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._over.set()
        self._thread.join()
        if self._interrupted:
            # What is not raised yet is nobody else's. It can't be taken back: 3.11 then waits for
            # ever at the next call of a profiled function.
            with suppress(EndlessStep):
                for _ in range(10_000):
                    pass

    def _watch(self) -> None:
        seen, since = -1, 0.0
        while not self._over.wait(POLL):
            steps, now = self._loop.trace.count, time.process_time()
            if steps != seen:
                seen, since = steps, now
            elif now - since >= LIMIT:
                self._end()
                seen = -1

    def _end(self) -> None:
        step = self._step()
        if not step or any(is_tool(frame) for frame in step):
            return
        found = handling(step[0], type(self._loop)._run_once.__code__)
        of = next((each.f_locals["envelope"] for each in step if _judges(each)), None)
        what = f"{of.name} of {of.agent}, in {found}" if of is not None else str(found or "a step")
        error = EndlessStep(what, where(step[0]) if found is None else _line(found, step), LIMIT)
        del step
        self._loop.end_with(error)
        self._interrupted = True
        ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(self._runner), ctypes.py_object(EndlessStep)
        )

    def _step(self) -> list[FrameType]:
        """The frames of the step that runs, the innermost first."""
        frame, found = sys._current_frames().get(self._runner), []
        end = type(self._loop)._run_once.__code__
        while frame is not None and frame.f_code is not end:
            found.append(frame)
            frame = frame.f_back
        return found if frame is not None else []


def _line(found: Handling, step: list[FrameType]) -> str:
    """Where the handler is, or what it calls; where it begins, if its frame can't be seen."""
    code = getattr(found.function, "__code__", None)
    if code is None or any(frame.f_code is code for frame in step):
        return where(step[0])
    return f"{code.co_filename}:{code.co_firstlineno} {code.co_qualname}"


def _judges(frame: FrameType) -> bool:
    """Whether it is the one that decides a command."""
    return frame.f_code.co_name == "judge" and "envelope" in frame.f_locals
