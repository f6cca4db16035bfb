"""What a failed simulation prints: the few faults it takes, and the line that runs it again."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

from moonlet.core.errors import InvalidSettings
from moonlet.simulations.durations import shown
from moonlet.simulations.errors import EndlessStep
from moonlet.simulations.faults import in_lines
from moonlet.simulations.replay import save, scenario_of
from moonlet.simulations.scenario import Run
from moonlet.simulations.search.retelling import MARKS, last_lines
from moonlet.simulations.search.shrinking import RUNS_MAX, Shrunk, shrink
from moonlet.simulations.trace import Event

FOLDER: Final = Path(".moonlet/seeds")
FAULTS_SHOWN: Final = 20
TEXT_SHOWN: Final = 2_000
FRESH_SECONDS: Final = 120.0
REPLAY: Final = (sys.executable, "-m", "moonlet.simulations", "replay")


class SimulationFailed(AssertionError):
    """A seed failed. `run` is the shrunk one, `path` its file."""

    def __init__(self, text: str, run: Run, path: Path) -> None:
        super().__init__(text)
        self.run = run
        self.path = path


def failure_of(run: Run, *, passed: int, seconds: float) -> SimulationFailed:
    """Shrink a sweep's failing run, save it, and say what there is to say.

    `passed` is how many runs passed before it, `seconds` how long all took.
    """
    assert run.error is not None
    endless = isinstance(run.error, EndlessStep)  # each further run takes its whole limit
    shrunk = shrink(run, runs=1 if endless else RUNS_MAX)
    name = run.scenario.name.rpartition(":")[2]
    path = FOLDER / f"{re.sub('[^A-Za-z0-9_-]+', '-', name)}-{run.seed}.sim"
    save(shrunk.run, path)
    lines = [
        f"{name}  seed {run.seed}  ({passed} passed before, {seconds:.1f} s)",
        _text_of(shrunk.run.error),
        *_happened(shrunk.run),
        _how(shrunk, path, run.drawn),
        *_faults(shrunk.run),
        f" next     moonlet sim explain {path}",
    ]
    failed = SimulationFailed("\n".join(lines), shrunk.run, path)
    failed.__cause__ = _own(shrunk.run.error)
    return failed


def _happened(run: Run) -> list[str]:
    again = run.scenario.run(run.seed, plan=run.hits, profile=run.profile, keep=True)
    lines = last_lines(again)
    if any(line.startswith((" >", " -")) for line in lines):
        return [f" happened ({MARKS})", *lines]
    difference = first_difference(run)
    other = [f" first difference to the run that passes: {difference}"] if difference else []
    return [" happened", *lines, *other] if lines else [" no commit was stored", *other]


def _own(error: BaseException | None) -> BaseException | None:
    """The error, its traceback from the first frame on that is not the framework's.

    Where it was raised stays: by that a failure is told from another.
    """
    trail = error.__traceback__ if error is not None else None
    while trail is not None:
        module = trail.tb_frame.f_globals.get("__name__", "")
        if not module.startswith(("moonlet.", "asyncio.")):
            assert error is not None
            return error.with_traceback(trail)
        trail = trail.tb_next
    return error


def _text_of(error: BaseException | None) -> str:
    text = f"{type(error).__name__}: {error}"
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
        text = f"{type(error).__name__}: {error}"
    return text[:TEXT_SHOWN]


def _how(shrunk: Shrunk, path: Path, drawn: int) -> str:
    told = f"{shrunk.runs} runs, {shrunk.seconds:.1f} s"
    if shrunk.spent:
        told += f"; stopped there, go on with `moonlet sim shrink {path} --seconds 300`"
    if not shrunk.exact:
        told += "; the plan alone does not give the seed's run bit for bit: report this"
    told += f"; {_fresh(shrunk.run, path)}"
    commands = ""
    if drawn:
        commands = f", {drawn} commands -> {shrunk.run.drawn}"
    return f" shrunk   {shrunk.before} faults -> {len(shrunk.run.hits)}{commands}   ({told})"


def _fresh(run: Run, path: Path) -> str:
    """Run the file in a new process, where nothing is left of earlier runs."""
    try:
        scenario_of(run.scenario.name)
    except InvalidSettings:
        return "not tried in a fresh process: the test is made inside a function"
    environment = {**os.environ, "PYTHONHASHSEED": "0", "TZ": "UTC"}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [os.getcwd(), *sys.path]))
    try:
        done = subprocess.run(
            (*REPLAY, str(path)),
            env=environment,
            capture_output=True,
            text=True,
            timeout=FRESH_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"a fresh process took over {FRESH_SECONDS:.0f} s"
    if f"failure: {run.failure}" in done.stdout:
        return "reproduced in a fresh process"
    return "NOT reproduced in a fresh process: look for state that earlier runs left in a module"


def _faults(run: Run) -> list[str]:
    hits = run.hits
    shown_ones = in_lines(hits[:FAULTS_SHOWN])
    lines = [f"   {number:2}  {line}" for number, line in enumerate(shown_ones, 1)]
    if len(hits) > FAULTS_SHOWN:
        lines.append(f"   and {len(hits) - FAULTS_SHOWN} more")
    if run.profile.core:
        lines.append(f"   {run.profile.core} of {run.scenario.hosts} hosts come back at the end")
    return lines


def first_difference(run: Run) -> str:
    """The first thing that went otherwise than without the last fault, in words; '' if unknown."""
    if not run.hits:
        return ""
    other = run.scenario.run(run.seed, plan=run.hits[:-1], profile=run.profile)
    if other.error is not None:
        return ""
    for (number, mine), (_, theirs) in zip(_events(run), _events(other), strict=False):
        if mine[1:] != theirs[1:] and mine[3] != "fault":
            return f"event {number}, {told(mine)}"
    return ""


def _events(run: Run) -> list[tuple[int, Event]]:
    """With their numbers in the trace, from 1."""
    numbered = enumerate(run.trace.events, 1)
    return [(number, event) for number, event in numbered if event[3] not in ("packets", "fault")]


def told(event: Event) -> str:
    """One event as a line."""
    _, at_ns, node, kind, fields = event
    facts = " ".join(field.hex() if isinstance(field, bytes) else str(field) for field in fields)
    return f"t={shown(at_ns)} {node} {kind} {facts}".rstrip()
