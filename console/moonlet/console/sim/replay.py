"""`moonlet sim replay`: a kept run again, up to a moment, from an event on, or in the debugger."""

from __future__ import annotations

import traceback
from bdb import BdbQuit
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from moonlet.console.common import ExitCode, Options, command_without, counted
from moonlet.console.sim.debugger import break_in, check_terminal, post_mortem
from moonlet.core.errors import InvalidSettings
from moonlet.simulations.durations import nanoseconds, shown
from moonlet.simulations.errors import Halted
from moonlet.simulations.faults import in_lines
from moonlet.simulations.replay import replay as run_again
from moonlet.simulations.scenario import Halt, Run
from moonlet.simulations.search import happened as in_words
from moonlet.simulations.search import told
from moonlet.simulations.world import Standing, World, lines_of, standing_of

command = command_without("url", "context", "data", "prefix")

File = Annotated[Path, typer.Argument(metavar="FILE", help="A kept run, a .sim file.")]


@command
def replay(
    options: Options,
    file: File,
    until: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Stop at this moment, as 3.2s, and say how it is."),
    ] = None,
    from_event: Annotated[
        int | None, typer.Option(metavar="N", help="Print what happened from this event on.")
    ] = None,
    without: Annotated[
        list[int] | None,
        typer.Option(metavar="N", help="Leave out this fault, from 1. May be given several times."),
    ] = None,
    fifo: Annotated[
        bool, typer.Option("--fifo", help="Messages arrive in the order in which they were sent.")
    ] = False,
    debug_it: Annotated[
        bool, typer.Option("--pdb", help="Debug the failure; with --until, the world then.")
    ] = False,
    exact: Annotated[bool, typer.Option("--exact", help="Stop where it differs.")] = False,
    events: Annotated[bool, typer.Option("--events", help="Print all that happened.")] = False,
) -> int:
    """Run a kept run again on today's code."""
    left_out = tuple(without or ())
    first = 1 if events and from_event is None else from_event
    if exact and (fifo or left_out):
        other = "--fifo" if fifo else "--without"
        raise InvalidSettings(
            f"--exact and {other}: with {other} the run is another one; leave out one of them"
        )
    if events and from_event is not None:
        raise InvalidSettings("--events prints all, --from-event some: leave out one of them")
    if first is not None and first < 1:
        raise InvalidSettings(f"--from-event {first}: events are counted from 1")
    if debug_it:
        check_terminal(json=options.output.json)
    stop = _Stop(_moment(until), debug=debug_it) if until is not None else None
    run = again(
        file,
        exact=exact,
        without=left_out,
        fifo=fifo,
        halt=None if stop is None else stop.halt,
        keep=first is not None,
    )
    if isinstance(run.error, BdbQuit):
        options.output.remark("the run was ended in the debugger")
        return ExitCode.OK
    if first is not None:
        _print_events(options, run, first, until)
    if debug_it and run.error is not None:
        post_mortem(run)
    lines = faults_of(run)
    if stop is not None and stop.standing is not None:
        lines = lines_of(stop.standing)
    elif stop is not None and not stop.reached:
        lines.append(f"the run ended at t={shown(run.virtual_ns)}, before {until}")
    facts: dict[str, Any] = {}
    if fifo:
        told_of_it, facts["kept_failure"] = _compared(file, run)
        lines.append(told_of_it)
    if stop is not None and stop.standing is not None:
        facts["standing"] = msgspec.to_builtins(stop.standing)
    tell(options, run, lines, **facts)
    return ExitCode.OK if run.error is None or isinstance(run.error, Halted) else ExitCode.FOUND


class _Stop:
    """Where a run is to stop: for good, with how things stand then, or in the debugger."""

    def __init__(self, at_ns: int, *, debug: bool) -> None:
        self.reached = False
        self.standing: Standing | None = None
        self._debug = debug
        self.halt: Halt = (at_ns, self._stop)

    def _stop(self, world: World) -> None:
        self.reached = True
        if self._debug:
            break_in(world)
            return
        self.standing = standing_of(world)
        raise Halted(world.loop.now_ns)


def again(
    file: Path,
    *,
    exact: bool = False,
    without: tuple[int, ...] = (),
    fifo: bool = False,
    halt: Halt | None = None,
    keep: bool = False,
) -> Run:
    """The file's run on today's code; what is wrong with the file is the user's mistake."""
    try:
        return run_again(file, exact=exact, without=without, fifo=fifo, halt=halt, keep=keep)
    except (ValueError, OSError) as error:
        raise InvalidSettings(f"{file}: {error}") from None


def tell(options: Options, run: Run, lines: list[str], **more: Any) -> None:
    """The result of a replayed run: the lines and how it ended, or the facts and `more`."""
    halted = isinstance(run.error, Halted)
    end = "passed" if run.error is None else f"{type(run.error).__name__}: {_said(run.error)}"
    if halted:
        end = "\n".join([*getattr(run.error, "__notes__", ()), f"{run.error}"])
    facts = {
        "test": run.scenario.name,
        "seed": run.seed,
        "failure": "" if halted else run.failure,
        "faults": [str(fault) for fault in run.hits],
        "ended_ns": run.virtual_ns,
        "digest": more["standing"]["digest"] if halted else run.digest,
    }
    options.output.result({**facts, **more}, "\n".join([*lines, end]))


def _said(error: BaseException) -> str:
    """What an error says; of a bare `assert` its line."""
    if str(error) or error.__traceback__ is None:
        return str(error)
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{frame.line}  ({Path(frame.filename).name}:{frame.lineno})"


def faults_of(run: Run) -> list[str]:
    """The faults that fired, numbered from 1."""
    return [f"{number:4}  {line}" for number, line in enumerate(in_lines(run.hits), 1)]


def _moment(text: str) -> int:
    try:
        at_ns = nanoseconds(text)
    except InvalidSettings as error:
        raise InvalidSettings(f"--until {error}") from None
    if at_ns < 0:
        raise InvalidSettings(f"--until {text}: a run begins at 0s; give a later moment, as 3.2s")
    return at_ns


def _print_events(options: Options, run: Run, first: int, until: str | None) -> None:
    happened = run.trace.events
    if first > len(happened):
        span = f"until {until}" if until is not None else "in this run"
        raise InvalidSettings(
            f"--from-event {first}: there are {counted(len(happened), 'event')} {span}; name one"
            " of these"
        )
    commits: dict[tuple[str, object], str] = {
        (each.commit.agent, each.commit.revision): str(each) for each in in_words(run)
    }
    for number, event in enumerate(happened[first - 1 :], first):
        step, at_ns, node, kind, fields = event
        facts = {"event": number, "step": step, "ns": at_ns, "node": node, "kind": kind}
        text = commits.get((str(fields[0]), fields[1])) if kind == "commit" else None
        options.output.result(
            {**facts, "fields": fields}, f"{number:6}  {text.strip() if text else told(event)}"
        )


def _compared(file: Path, run: Run) -> tuple[str, str]:
    """What the plain order makes of the failure, in words, and what the kept run fails with."""
    kept = again(file).failure
    if isinstance(run.error, Halted):
        found = "it was stopped before its end, so whether it fails is not known"
    elif not kept:
        found = "the kept run passes on today's code, so there is nothing to compare"
    elif run.failure == kept:
        found = "it fails in the same way: the failure does not need the schedule"
    elif run.error is None:
        found = "it passes: the failure needs the schedule"
    else:
        found = f"it fails in another way, the kept run with {kept}"
    latency = shown(run.profile.latency[0])
    return (
        f"--fifo: each message took {latency}, so this is another run, whose digest is compared"
        f" with none; {found}",
        kept,
    )
