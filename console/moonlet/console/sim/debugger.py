"""The debugger in a replayed run: in the world at a moment, or where the run failed."""

import pdb
import sys
from types import TracebackType

import typer

from moonlet.core.errors import InvalidSettings
from moonlet.simulations.durations import shown
from moonlet.simulations.scenario import Run
from moonlet.simulations.world import World


def check_terminal(*, json: bool) -> None:
    """Raise `InvalidSettings` where nobody can talk to a debugger."""
    if json:
        raise InvalidSettings("--pdb talks to a person, --json to a program: leave one of them out")
    if not sys.stdin.isatty():
        raise InvalidSettings(
            "--pdb needs a terminal, and stdin is none: run it in one, or print how things stand"
            " with --until and --from-event"
        )


def break_in(world: World) -> None:
    """Stop in the debugger, between two steps of the world; going on changes nothing of the run.

    Raises `bdb.BdbQuit` if the user quits.
    """
    typer.echo(f"t={shown(world.loop.now_ns)}: `world` is at hand; c goes on, q ends the run")
    pdb.Pdb().set_trace()
    return  # the debugger stops at a line


def post_mortem(run: Run) -> None:
    """Look at the frames that the failed run's error went through, the innermost first."""
    trail = _trail(run.error)
    if trail is None:
        typer.echo("the error went through no code: there is nothing to look at")
        return
    typer.echo(f"{type(run.error).__name__}: {run.error}\nup leads to who called; q ends")
    pdb.post_mortem(trail)  # type: ignore[arg-type, unused-ignore]


def _trail(error: BaseException | None) -> TracebackType | None:
    """Of the first error of a group, and of what broke a promise: there is more to see."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if error is None:
        return None
    cause = error.__cause__
    if isinstance(cause, AssertionError) and cause.__traceback__ is not None:
        return cause.__traceback__
    return error.__traceback__
