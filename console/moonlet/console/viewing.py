"""`moonlet views`, `moonlet view NAME ...`: what shared views hold, and how their replicas are."""

import time
from collections.abc import Mapping
from contextlib import aclosing, closing
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from moonlet.console import exits
from moonlet.console.options import Modules, Options, command
from moonlet.console.output import compact, counted, pretty, table
from moonlet.console.session import opened
from moonlet.console.view_replicas import connected, file_of, replicated, unfolded
from moonlet.core.errors import Invalid
from moonlet.core.frontier import Frontier
from moonlet.projections import (
    Enrolled,
    PoisonedEvent,
    Replica,
    Roster,
    Rows,
    Sighting,
    journal_ends,
    open_reader,
    rebuild,
    select,
    survey,
)
from moonlet.streams import Bus

app = typer.Typer(name="view", help="One view: its values, its replicas, its file.")

Field = Annotated[str | None, typer.Argument(metavar="[FIELD]", help="A field of the view.")]
Timeout = Annotated[float, typer.Option(min=0.1, help="Seconds to wait until all is folded.")]
File = Annotated[Path | None, typer.Option(help="A replica's file, in place of the command's.")]

TIMEOUT: Final = 60.0


@app.callback()
def one(
    parent: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The view's name.")],
) -> None:
    """One view: its values, its replicas, its file."""
    parent.obj = name


@command
async def views(
    options: Options,
    dismiss: Annotated[
        str | None,
        typer.Option(metavar="VIEW/REPLICA", help="Forget a replica that won't come back."),
    ] = None,
) -> None:
    """List the replicas of all views, with how far each one's file is behind the journals."""
    async with opened(options) as session:
        bus = session.moon.bus
        roster = Roster(bus)
        known = await roster.replicas()
        if dismiss is not None:
            view, _, replica = dismiss.partition("/")
            if (view, replica) not in [(entry.view, entry.replica) for entry in known]:
                raise Invalid(f"--dismiss {dismiss}: no such replica; `moonlet views` lists them")
            await roster.dismiss(view, replica)
            options.output.result({"dismissed": dismiss}, f"{dismiss} is forgotten")
            return
        ends = await _ends(bus)
    rows = [("VIEW", "REPLICA", "STANDING", "BEHIND", "SAID")]
    rows += [_row(entry, ends) for entry in known]
    lines = table(rows, right=(3,))
    if not options.output.json and known:
        options.output.result({}, lines[0])
    for entry, line in zip(known, lines[1:], strict=True):
        record = {
            "view": entry.view,
            "version": entry.version,
            "replica": entry.replica,
            "standing": entry.standing,
            "behind": _behind(entry.durable, ends),
            "durable": entry.durable,
            "time": entry.time,
        }
        options.output.result(record, line)
    if not known:
        options.output.remark(
            "no replica was here yet: open one with moonlet.projections.Replica, or look at a view"
            " with `moonlet view NAME get`"
        )


def _row(entry: Enrolled, ends: Mapping[str, int]) -> tuple[str, str, str, str, str]:
    age = max(0.0, time.time() - entry.time / 1e6)
    return (
        f"{entry.view}@{entry.version}",
        entry.replica,
        entry.standing,
        f"{_behind(entry.durable, ends):,}",
        f"{age:,.0f} s ago",
    )


def _behind(at: Mapping[str, int], ends: Mapping[str, int]) -> int:
    """How many commits of the journals that a replica reads it has not got."""
    return sum(max(0, ends.get(journal, 0) - sequence) for journal, sequence in at.items())


async def _ends(bus: Bus) -> dict[str, int]:
    infos = {name: await bus.js.stream_info(name) for name in bus.topology.journal_streams}
    return {name: int(info["state"]["last_seq"]) for name, info in infos.items() if info}


@app.command()
@command
async def get(
    options: Options,
    parent: typer.Context,
    field: Field = None,
    key: Annotated[str | None, typer.Argument(metavar="[KEY]", help="A key of a map.")] = None,
    timeout: Timeout = TIMEOUT,
    module: Modules = None,
) -> None:
    """Print the view's value, or a field's, or one key's, as of the journals' ends now."""
    async with (
        connected(options, parent.obj, module) as known,
        replicated(options, known, timeout) as replica,
    ):
        _print_value(options, replica, field, key)


@app.command()
@command
async def watch(
    options: Options,
    parent: typer.Context,
    field: Field = None,
    key: Annotated[str | None, typer.Argument(metavar="[KEY]", help="A key of a map.")] = None,
    timeout: Timeout = TIMEOUT,
    module: Modules = None,
) -> None:
    """Print the value now, and whenever it has changed, until Ctrl-C."""
    last: Any = None
    async with (
        connected(options, parent.obj, module) as known,
        replicated(options, known, timeout) as replica,
        aclosing(replica.changes()) as changes,
    ):
        async for _ in changes:
            value = _value(replica, field, key)
            if value != last:
                last = value
                _print_value(options, replica, field, key, text=compact)


def _value(replica: Replica, field: str | None, key: str | None) -> Any:
    return replica.value if field is None else replica.read(field, key)[0]


def _print_value(
    options: Options,
    replica: Replica,
    field: str | None,
    key: str | None,
    text: Any = pretty,
) -> None:
    value = _value(replica, field, key)
    record = {
        "view": replica.view.name,
        "version": replica.view.version,
        "frontier": replica.frontier.sequences,
        "digest": replica.digest,
        "field": field,
        "key": key,
        "value": value,
    }
    options.output.result(record, text(value))


@app.command()
@command
async def sql(
    options: Options,
    parent: typer.Context,
    query: Annotated[str, typer.Argument(metavar="SELECT", help="One statement that reads.")],
    file: File = None,
    timeout: Timeout = TIMEOUT,
    module: Modules = None,
) -> None:
    """Ask the view's file in SQL: a table per field, with key and value; FILE needs no server."""
    if file is not None:
        with closing(open_reader(file, parent.obj)) as database:
            _print_rows(options, select(database, query))
        return
    async with (
        connected(options, parent.obj, module) as known,
        replicated(options, known, timeout) as replica,
    ):
        _print_rows(options, select(replica.db, query))


def _print_rows(options: Options, found: Rows) -> None:
    names, rows = found
    lines = table([names, *(tuple(map(_cell, row)) for row in rows)]) if rows else []
    if lines and not options.output.json:
        options.output.result({}, lines[0])
    for row, line in zip(rows, lines[1:], strict=True):
        options.output.result(dict(zip(names, row, strict=True)), line)
    if not rows:
        options.output.remark("no rows")


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{len(value)} bytes" if isinstance(value, bytes) else str(value)


@app.command()
@command
async def lag(options: Options, parent: typer.Context, module: Modules = None) -> None:
    """Listen to the replicas that run: how far each is behind the journals' ends."""
    async with connected(options, parent.obj, module) as known:
        heard = await survey(known.moon, known.view)
        ends = (await journal_ends(known.moon, known.view)).sequences
    rows = [("REPLICA", "BEHIND", "NOT ON DISK", "FAULT")]
    for seen in heard:
        behind = _missing(seen.frontier, ends)
        rows.append((seen.replica, f"{behind:,}", f"{_missing(seen.durable, ends):,}", seen.fault))
    lines = table(rows, right=(1, 2))
    if heard and not options.output.json:
        options.output.result({}, lines[0])
    for seen, line in zip(heard, lines[1:], strict=True):
        record = {
            "replica": seen.replica,
            "behind": _missing(seen.frontier, ends),
            "not_on_disk": _missing(seen.durable, ends),
            "frontier": seen.frontier.sequences,
            "fault": seen.fault,
        }
        options.output.result(record, line)
    if not heard:
        options.output.remark(
            f"no replica of {parent.obj} is heard: `moonlet views` lists those that were here"
        )


def _missing(frontier: Frontier, ends: Mapping[str, int]) -> int:
    return sum(max(0, end - frontier.at(journal)) for journal, end in ends.items())


@app.command()
@command
async def compare(
    options: Options, parent: typer.Context, timeout: Timeout = TIMEOUT, module: Modules = None
) -> int:
    """Compare the digests of all replicas, this command's own among them; 1 if any differ."""
    async with (
        connected(options, parent.obj, module) as known,
        replicated(options, known, timeout) as replica,
    ):
        heard = await survey(known.moon, known.view)
        mine = Sighting(replica.name, replica.frontier, replica.durable, replica.digest)
    heard = [seen for seen in heard if not seen.replica.startswith(f"{mine.replica}-")]
    differ = False
    rows = [("REPLICA", "DIGEST", "COMPARED")]
    for seen in [mine, *heard]:
        verdict = _verdict(seen, mine)
        differ |= verdict == "DIFFERS"
        rows.append((seen.replica, seen.digest[:16], verdict))
    lines = table(rows)
    if not options.output.json:
        options.output.result({}, lines[0])
    for row, line in zip(rows[1:], lines[1:], strict=True):
        options.output.result(dict(zip(("replica", "digest", "compared"), row, strict=True)), line)
    if differ:
        options.output.remark(
            "a replica differs from what the journals say: rebuild it, and report this"
        )
    return exits.FOUND if differ else exits.OK


def _verdict(seen: Sighting, mine: Sighting) -> str:
    if seen is mine:
        return "folded from the journals by this command"
    if seen.fault:
        return f"not comparable: another {seen.fault}"
    if not seen.digest or seen.frontier != mine.frontier:
        return "not at the same place: it moves, or is behind"
    return "equal" if mine.digest.startswith(seen.digest) else "DIFFERS"


@app.command("rebuild")
@command
async def rebuild_file(
    options: Options,
    parent: typer.Context,
    file: File = None,
    timeout: Timeout = 3_600.0,
    module: Modules = None,
) -> None:
    """Fold everything into a new file beside the old one, and put it in its place."""
    async with connected(options, parent.obj, module) as known:
        path = file or file_of(options, known.view)
        reached = await rebuild(known.moon, known.view, path, timeout=timeout)
    commits = sum(reached.sequences.values())
    record = {"file": str(path), "version": known.view.version, "frontier": reached.sequences}
    text = f"{path}: {known.view.name}@{known.view.version}, {counted(commits, 'commit')} folded"
    options.output.result(record, text)


@app.command()
@command
async def skip(
    options: Options,
    parent: typer.Context,
    file: File = None,
    timeout: Timeout = TIMEOUT,
    module: Modules = None,
) -> None:
    """Leave out, for ever, the commit that stops this command's replica, or that of FILE."""
    async with (
        connected(options, parent.obj, module) as known,
        unfolded(options, known, file) as replica,
    ):
        try:
            await replica.wait_for(await journal_ends(known.moon, known.view), timeout=timeout)
        except PoisonedEvent as poison:
            await replica.skip()
            record = {"stream": poison.stream, "sequence": poison.sequence, "type": poison.type}
            text = f"{poison.stream} sequence {poison.sequence} ({poison.type}) is left out"
            options.output.result(record, text)
            return
    raise Invalid(f"view {parent.obj} isn't stopped by an event: nothing to skip")
