"""`step`: through an agent's history by hand, forward and back."""

import asyncio
import os
import sys
import threading
from contextlib import suppress
from typing import Annotated, Final

import typer

from moonlet.console.common import Modules, Options, command, find, pretty
from moonlet.console.replay.histories import Agent
from moonlet.console.replay.indexing import timeline_of
from moonlet.console.replay.opening import BundleFile, code_of, reading
from moonlet.console.replay.words import line
from moonlet.core.errors import Invalid
from moonlet.core.ids import AgentId
from moonlet.replay import Condition, cause_of, inside, parse_path, plain_state
from moonlet.replay.changes import NOTHING
from moonlet.replay.stepping import Stepper

HELP: Final = """n next · b back · c on to the next stop · r back to one · g N to revision N
w PATH to the next change of a path · v PATH back to one · s [PATH] the state · y why · q quit"""


@command
async def step(
    options: Options,
    agent: Agent,
    stops: Annotated[
        list[str] | None,
        typer.Option("--break", metavar="EVENT|COMMAND", help="Stop where one of these is."),
    ] = None,
    where: Annotated[
        str | None, typer.Option("--where", metavar="CONDITION", help="Stop where it holds.")
    ] = None,
    module: Modules = None,
    bundle: BundleFile = None,
) -> None:
    """Go through an agent's history by hand: forward, back, to the next change of a path.

    Reads commands from the terminal, or from a pipe, one a line; `h` lists them. Runs nothing.
    """
    target = AgentId.parse(agent)
    condition = Condition(where) if where is not None else None
    types = find(module)
    code = code_of(types, target)
    async with (
        reading(options, bundle, types.values()) as opened,
        timeline_of(options, opened, code, target) as timeline,
    ):
        if not timeline.last:
            raise Invalid(f"{agent} has no commits: `moonlet agents` lists those that have")
        stepper = await Stepper.at(timeline)
        if stops or condition is not None:
            await stepper.to_break(stops or (), condition)
        else:
            await stepper.forward()
        await _tell(options, stepper)
        lines = _Lines()
        while True:
            typed = await _typed(options, stepper, lines)
            if typed is None or typed in ("q", "quit"):
                return
            try:
                await _do(options, stepper, typed, stops or (), condition)
            except Invalid as error:
                options.output.remark(str(error))


async def _typed(options: Options, stepper: Stepper, lines: "_Lines") -> str | None:
    """The next line; None at its end. A prompt is for people alone."""
    if sys.stdin.isatty() and not options.output.json:
        typer.echo(f"{stepper.timeline.agent}@{stepper.revision}> ", nl=False, err=True)
    return await lines.next()


class _Lines:
    """What is typed, or piped, line by line, while the loop goes on.

    A thread waits for it below Python's own buffer, whose lock would hold up the end of a process
    that is interrupted.
    """

    def __init__(self) -> None:
        self._held = b""

    async def next(self) -> str | None:
        """Without its line end; None behind the last."""
        try:
            file = sys.stdin.fileno()
        except OSError:  # it is no file: nothing is waited for
            read = sys.stdin.readline()
            return read.strip() if read else None
        while b"\n" not in self._held:
            piece = await _piece(file)
            if not piece:
                if not self._held:
                    return None
                break
            self._held += piece
        line, _, self._held = self._held.partition(b"\n")
        return line.decode(errors="replace").strip()


async def _piece(file: int) -> bytes:
    loop = asyncio.get_running_loop()
    read: asyncio.Future[bytes] = loop.create_future()

    def told(piece: bytes) -> None:
        if not read.done():
            read.set_result(piece)

    def wait() -> None:
        try:
            piece = os.read(file, 65_536)
        except OSError:
            piece = b""
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(told, piece)

    threading.Thread(target=wait, daemon=True).start()
    return await read


async def _do(
    options: Options,
    stepper: Stepper,
    typed: str,
    stops: list[str] | tuple[str, ...],
    condition: Condition | None,
) -> None:
    verb, _, rest = typed.partition(" ")
    rest = rest.strip()
    match verb:
        case "" | "n" | "next":
            moved = await stepper.forward()
        case "b" | "back":
            moved = await stepper.back()
        case "c" | "continue":
            moved = await stepper.to_break(stops, condition)
        case "r" | "reverse":
            moved = await stepper.to_break(stops, condition, back=True)
        case "g" | "goto" if rest.isdigit():
            moved = await stepper.to(int(rest))
        case "w" | "watch" if rest:
            moved = await stepper.to_change(rest)
        case "v" if rest:
            moved = await stepper.to_change(rest, back=True)
        case "s" | "state":
            state = plain_state(stepper.here.state)
            held = inside(state, parse_path(rest)) if rest else state
            if held is NOTHING:
                raise Invalid(f"there is no {rest} at revision {stepper.revision}")
            options.output.result({"revision": stepper.revision, "state": held}, pretty(held))
            return
        case "y" | "why":
            commit = await stepper.commit()
            cause = cause_of(commit) if commit is not None else None
            told = f"from {cause.commit}" if cause is not None else "from outside"
            record = {"revision": stepper.revision, "cause": cause.commit if cause else None}
            options.output.result(record, told)
            return
        case _:
            options.output.remark(HELP)
            return
    if moved is None:
        options.output.remark("there is no further stop that way")
        return
    await _tell(options, stepper)


async def _tell(options: Options, stepper: Stepper) -> None:
    commit = await stepper.commit()
    changed = await stepper.changed()
    if commit is None:
        text = f"{stepper.timeline.agent}@0  before the first commit"
        options.output.result({"revision": 0, "commit": None, "changes": []}, text)
        return
    lines = [line(commit), *(f"  event  {event.name}" for event in commit.events)]
    lines += [f"  {change}" for change in changed]
    record = {
        "revision": stepper.revision,
        "command": commit.command.name,
        "events": [event.name for event in commit.events],
        "changes": changed,
    }
    options.output.result(record, "\n".join(lines))
