"""`parked list|show|retry|drop`: commands and effects that could not be done."""

from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
import typer

from moonlet.agents.histories import parked_commit, retry_parked
from moonlet.console.common import Options, command, compact, counted, opened, table
from moonlet.core.errors import Invalid
from moonlet.core.ids import AgentId
from moonlet.streams import Bus, ParkedMessage, drop_parked, read_parked, stored_message

parked_app = typer.Typer(
    name="parked",
    help="Commands and effects that could not be done: cause, traceback; try again or drop.",
    no_args_is_help=True,
)
Numbers = Annotated[list[int], typer.Argument(metavar="NUMBER...", help="As `parked list` shows.")]


@parked_app.command("list")
@command
async def list_(
    options: Options,
    agent: Annotated[
        str | None, typer.Argument(help="type/key, like account/alice", metavar="[AGENT]")
    ] = None,
) -> None:
    """List what is parked, the oldest first."""
    target = AgentId.parse(agent) if agent is not None else None
    async with opened(options) as session:
        found = await read_parked(session.moon.bus, target)
    rows: list[tuple[str, ...]] = [("NUMBER", "TIME", "AGENT", "WHAT", "TRIES", "CAUSE")]
    rows += [_row(message) for message in found]
    lines = table(rows, right=(0, 4))
    if found and not options.output.json:
        options.output.result({}, lines[0])
    for message, line in zip(found, lines[1:], strict=True):
        options.output.result(_record(message), line)
    if not found:
        options.output.remark("nothing is parked")


@parked_app.command()
@command
async def show(options: Options, number: Annotated[int, typer.Argument(metavar="NUMBER")]) -> None:
    """Print one with its cause, its traceback, and the command's body as it was sent."""
    async with opened(options) as session:
        bus = session.moon.bus
        (message,) = await _chosen(bus, [number])
        commit = await parked_commit(bus, message)
        stream = bus.topology.journal_of(commit.agent.partition("/")[0])
        stored = await stored_message(bus, stream, message.parked.sequence)
    record = _record(message)
    record["command"] = msgspec.to_builtins(commit.command)
    record["bytes"] = None if stored is None else stored.data
    lines = [
        f"{commit.agent}@{commit.revision}  {commit.command.name} {compact(commit.command.body)}",
        f"id     {commit.command.id}",
        f"from   {commit.command.sender or 'nobody who said'}",
        f"cause  {message.parked.reason}",
        f"tried  {message.attempts}",
    ]
    if message.parked.effect is not None:
        lines.append(f"effect {compact(msgspec.to_builtins(message.parked.effect))}")
    lines += [f"       {line}" for line in message.stack.splitlines()]
    options.output.result(record, "\n".join(lines))


@parked_app.command()
@command
async def retry(options: Options, numbers: Numbers) -> None:
    """Send them once more, each as a new command that the old one caused; they are parked no more.

    Mend the handler first: else they are parked again, under new numbers.
    """
    async with opened(options) as session:
        bus = session.moon.bus
        for message in await _chosen(bus, numbers):
            id = await retry_parked(bus, message)
            text = f"{message.sequence}  sent again as {id}"
            options.output.result({"number": message.sequence, "id": id}, text)


@parked_app.command()
@command
async def drop(options: Options, numbers: Numbers) -> None:
    """Take them out of the list. Their commits stay in the journals, and say what happened."""
    async with opened(options) as session:
        bus = session.moon.bus
        for message in await _chosen(bus, numbers):
            await drop_parked(bus, message.sequence)
            options.output.result({"number": message.sequence}, f"{message.sequence}  dropped")


async def _chosen(bus: Bus, numbers: list[int]) -> list[ParkedMessage]:
    """The messages of these numbers; raises `Invalid` before anything is done if one is missing."""
    found = {message.sequence: message for message in await read_parked(bus)}
    missing = [number for number in numbers if number not in found]
    if missing:
        raise Invalid(
            f"nothing is parked under {', '.join(map(str, missing))}: `moonlet parked list` shows"
            f" the numbers ({counted(len(found), 'message')})"
        )
    return [found[number] for number in dict.fromkeys(numbers)]


def _row(message: ParkedMessage) -> tuple[str, ...]:
    parked = message.parked
    what = parked.name if parked.effect is None else f"{parked.effect.kind} {parked.name}"
    cause = parked.reason if len(parked.reason) <= 80 else f"{parked.reason[:79]}…"
    where = f"{parked.agent}@{parked.revision}"
    return str(message.sequence), _time(message), where, what, str(message.attempts), cause


def _time(message: ParkedMessage) -> str:
    moment = datetime.fromtimestamp(message.time / 1e9, UTC)
    return moment.isoformat(sep=" ", timespec="seconds").removesuffix("+00:00")


def _record(message: ParkedMessage) -> dict[str, Any]:
    parked = message.parked
    return {
        "number": message.sequence,
        "time": datetime.fromtimestamp(message.time / 1e9, UTC).isoformat(),
        "agent": parked.agent,
        "revision": parked.revision,
        "id": parked.id,
        "name": parked.name,
        "cause": parked.reason,
        "attempts": message.attempts,
        "traceback": message.stack,
        "effect": msgspec.to_builtins(parked.effect) if parked.effect is not None else None,
    }
