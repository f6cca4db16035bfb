"""`moonlet view NAME pause|resume|retry|seek|skip`: orders to the replicas that run, anywhere."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer

from moonlet.console.common import ExitCode, Modules, Options, command, exit_code, opened, table
from moonlet.console.view.command import TIMEOUT, File, Timeout
from moonlet.console.view.replicas import Known, connected, has_file, unfolded
from moonlet.console.view.standing import CLOSED, ask_all
from moonlet.core.errors import Corrupt, Invalid, MoonletError, Unavailable, Undecodable
from moonlet.core.ids import check_name
from moonlet.projections import (
    Action,
    PoisonedEvent,
    Roster,
    Status,
    journal_ends,
    operate,
)
from moonlet.streams import Bus

Replicas = Annotated[
    list[str] | None,
    typer.Option("--replica", metavar="NAME", help="One of `moonlet views`. May be given again."),
]
Within = Annotated[float, typer.Option("--timeout", min=0.1, help="Seconds a replica may take.")]

DIGEST_LENGTH: Final = 16


@command
async def pause(
    options: Options, parent: typer.Context, replica: Replicas = None, timeout: Within = TIMEOUT
) -> ExitCode:
    """Let replicas fold nothing more until they are resumed; what they hold is read on."""
    return await _order(options, parent.obj, "pause", replica, timeout)


@command
async def resume(
    options: Options, parent: typer.Context, replica: Replicas = None, timeout: Within = TIMEOUT
) -> ExitCode:
    """Let replicas go on after pause or seek."""
    return await _order(options, parent.obj, "resume", replica, timeout)


@command
async def retry(
    options: Options, parent: typer.Context, replica: Replicas = None, timeout: Within = TIMEOUT
) -> ExitCode:
    """Let replicas that stopped open their file again, and go on where they stopped."""
    return await _order(options, parent.obj, "retry", replica, timeout)


@command
async def seek(
    options: Options,
    parent: typer.Context,
    to: Annotated[list[str], typer.Argument(metavar="JOURNAL=SEQUENCE...")],
    replica: Replicas = None,
    timeout: Within = TIMEOUT,
) -> ExitCode:
    """Let replicas become the view as of then, and pause there.

    Journals that aren't named go back to their start. `resume` goes on.
    """
    return await _order(options, parent.obj, "seek", replica, timeout, to)


@command
async def skip(
    options: Options,
    parent: typer.Context,
    replica: Replicas = None,
    file: File = None,
    timeout: Timeout = TIMEOUT,
    module: Modules = None,
) -> ExitCode:
    """Leave out, for ever, the commit that stops replicas: those that run, and the command's own.

    FILE is a replica that doesn't run.
    """
    name, code, is_done = parent.obj, ExitCode.OK, False
    if file is None:
        async with opened(options) as session:
            bus = session.moon.bus
            stopped = await _targets(options, bus, name, replica, "skip")
            if stopped:
                code = await _carry_out(options, bus, name, "skip", stopped, timeout)
                is_done = True
    wants_own = not replica and (not is_done or has_file(options, name, module))
    if file is not None or wants_own:
        async with connected(options, name, module) as known:
            is_done = await _skip_in_file(options, known, file, timeout) or is_done
    if not is_done:
        raise Invalid(f"view {name} isn't stopped by an event: nothing to skip")
    return code


async def _skip_in_file(options: Options, known: Known, file: Path | None, timeout: float) -> bool:
    """False if no event stops that replica."""
    async with unfolded(options, known, file) as own:
        try:
            await own.wait_for(await journal_ends(known.moon, known.view), timeout=timeout)
        except PoisonedEvent as poison:
            await own.skip()
            record = {
                "file": str(own.path),
                "stream": poison.stream,
                "sequence": poison.sequence,
                "type": poison.type,
            }
            where = f"{poison.stream} sequence {poison.sequence} ({poison.type})"
            options.output.result(record, f"{where} is left out in {own.path}")
            return True
    return False


def _target(bus: Bus, to: Sequence[str]) -> dict[str, int]:
    """The frontier that is meant; a journal may go by its short name, or its stream's."""
    target: dict[str, int] = {}
    for each in to:
        journal, _, sequence = each.partition("=")
        if journal in bus.topology.journals:
            journal = bus.topology.journal_stream(journal)
        if not sequence.isdecimal() or not sequence.isascii() or journal in target:
            raise Invalid(
                f"{each} is no place to seek: name each journal once, as JOURNAL=SEQUENCE; `moonlet"
                " views --json` shows how far replicas are"
            )
        target[journal] = int(sequence)
    return target


async def _order(
    options: Options,
    view: str,
    action: Action,
    replicas: Sequence[str] | None,
    timeout: float,
    to: Sequence[str] = (),
) -> ExitCode:
    async with opened(options) as session:
        bus = session.moon.bus
        target = _target(bus, to)
        targets = await _targets(options, bus, view, replicas, action)
        if not targets:
            raise Invalid(f"no replica of view {view} that runs is stopped: nothing to {action}")
        if action == "seek":
            targets = dict.fromkeys(targets, target)
        return await _carry_out(options, bus, view, action, targets, timeout)


async def _targets(
    options: Options, bus: Bus, view: str, replicas: Sequence[str] | None, action: Action
) -> dict[str, dict[str, int]]:
    """The replicas that are meant: those named, else all that run and have use for it.

    With the place of the event that stops each, so that no other is skipped.
    """
    check_name(view, "view")
    if replicas:
        return {name: {} for name in sorted(set(replicas))}
    known = await Roster(bus).replicas(view)
    heard: list[Status] = []
    for entry, now in zip(known, await ask_all(bus, known), strict=True):
        if now is not None:
            heard.append(now)
        elif entry.standing != CLOSED:
            options.output.remark(f"{entry.replica} doesn't answer, and is left alone")
    if not heard and action != "skip":
        raise Unavailable(
            f"no replica of view {view} runs: `moonlet views` lists those that were here"
        )
    return {
        now.replica: {now.stream: now.sequence} if action == "skip" else {}
        for now in heard
        if _has_use(now, action)
    }


def _has_use(now: Status, action: Action) -> bool:
    if action == "skip":
        return now.stream != ""
    return action != "retry" or now.failure != ""


async def _carry_out(
    options: Options,
    bus: Bus,
    view: str,
    action: Action,
    replicas: Mapping[str, Mapping[str, int]],
    timeout: float,
) -> ExitCode:
    """Print how each stands then; the exit code is that of the first that couldn't."""
    orders = (
        operate(bus, view, name, action, to=to, timeout=timeout) for name, to in replicas.items()
    )
    answers = await asyncio.gather(*orders, return_exceptions=True)
    rows = [("REPLICA", "STANDING", "AT", "DIGEST")]
    found = [answer for answer in answers if isinstance(answer, Status)]
    for now in found:
        at = ", ".join(f"{journal} {sequence}" for journal, sequence in now.frontier.items())
        rows.append((now.replica, now.standing, at, now.digest[:DIGEST_LENGTH]))
    lines = table(rows)
    if found and not options.output.json:
        options.output.result({}, lines[0])
    for now, line in zip(found, lines[1:], strict=True):
        options.output.result(msgspec.structs.asdict(now), line)
    errors = [_failure(answer) for answer in answers if not isinstance(answer, Status)]
    if action in ("resume", "retry", "skip"):
        errors += [_stopped(now) for now in found if now.failure]
    for error in errors:
        options.output.failure(error, debug=options.debug)
    return exit_code(errors[0]) if errors else ExitCode.OK


def _failure(answer: BaseException) -> MoonletError:
    if not isinstance(answer, MoonletError):
        raise answer
    return answer


def _stopped(now: Status) -> MoonletError:
    """What stops it again."""
    words = f"replica {now.replica}: {now.failure}"
    if now.stream:
        return Undecodable(words, stream=now.stream, sequence=now.sequence, type=now.type)
    return Corrupt(words)
