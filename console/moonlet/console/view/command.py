"""`moonlet view NAME ...`: what a shared view holds, and how its replicas agree."""

from collections.abc import Sequence
from contextlib import aclosing, closing
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from moonlet.console.common import (
    ExitCode,
    Modules,
    Options,
    command,
    compact,
    counted,
    pretty,
    table,
)
from moonlet.console.replay import BundleFile, Time
from moonlet.console.view.past import view_then
from moonlet.console.view.replicas import connected, file_of, replicated
from moonlet.projections import (
    Replica,
    Rows,
    Sighting,
    ViewState,
    open_reader,
    rebuild,
    select,
    survey,
)

view_app = typer.Typer(name="view", help="One view: its values, its replicas, its file.")

Field = Annotated[str | None, typer.Argument(metavar="[FIELD]", help="A field of the view.")]
Timeout = Annotated[float, typer.Option(min=0.1, help="Seconds to wait until all is folded.")]
File = Annotated[Path | None, typer.Option(help="A replica's file, in place of the command's.")]

TIMEOUT: Final = 60.0

MAX_CELL: Final = 200
"""Characters of a value in a table; `--json` has it whole."""


@view_app.callback()
def one(
    parent: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The view's name.")],
) -> None:
    """One view: its values, its replicas, its file."""
    parent.obj = name


@view_app.command()
@command
async def get(
    options: Options,
    parent: typer.Context,
    field: Field = None,
    key: Annotated[str | None, typer.Argument(metavar="[KEY]", help="A key of a map.")] = None,
    at: Annotated[
        str | None, typer.Option("--at", metavar="POINT", help="As of a commit: AGENT@REVISION, …")
    ] = None,
    time: Time = None,
    timeout: Timeout = TIMEOUT,
    module: Modules = None,
    bundle: BundleFile = None,
) -> None:
    """Print the view's value, or a field's, or one key's, as of the journals' ends now.

    With --at or --time as of then: folded up to a cut in which no effect lacks its cause.
    """
    if at is not None or time is not None or bundle is not None:
        cut, state = await view_then(options, parent.obj, at, time, module, bundle)
        _print_value(options, state, field, key, lowered=cut.lowered if cut is not None else ())
        return
    async with (
        connected(options, parent.obj, module) as known,
        replicated(options, known, timeout) as replica,
    ):
        _print_value(options, replica, field, key)


@view_app.command()
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


def _value(replica: Replica | ViewState, field: str | None, key: str | None) -> Any:
    if field is None:
        return replica.value
    if key is None and field in replica.view.fields:  # of a map: all of it
        return replica.value[field]
    return replica.read(field, key)[0]


def _print_value(
    options: Options,
    replica: Replica | ViewState,
    field: str | None,
    key: str | None,
    text: Any = pretty,
    lowered: Sequence[str] | None = None,
) -> None:
    value = _value(replica, field, key)
    record: dict[str, Any] = {
        "view": replica.view.name,
        "version": replica.view.version,
        "frontier": replica.frontier.sequences,
        "digest": replica.digest,
        "field": field,
        "key": key,
        "value": value,
    }
    if lowered is not None:
        record["lowered"] = list(lowered)
    options.output.result(record, text(value))


@view_app.command()
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
    """On one line, and nothing that a terminal would obey."""
    if value is None:
        return ""
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    text = str(value)
    shown = text if len(text) <= MAX_CELL else f"{text[: MAX_CELL - 1]}…"
    return shown if shown.isprintable() else "".join(map(_visible, shown))


def _visible(character: str) -> str:
    return character if character.isprintable() else ascii(character)[1:-1]


@view_app.command()
@command
async def compare(
    options: Options, parent: typer.Context, timeout: Timeout = TIMEOUT, module: Modules = None
) -> int:
    """Compare the digests of all replicas, this command's own among them; 1 if any differ."""
    async with (
        connected(options, parent.obj, module) as known,
        replicated(options, known, timeout) as replica,
    ):
        heard = await survey(known.moon, known.view, skipped=replica.skipped)
        mine = Sighting(replica.name, replica.frontier, replica.durable, replica.digest)
    heard = [seen for seen in heard if seen.replica != mine.replica]
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
    return ExitCode.FOUND if differ else ExitCode.OK


def _why(seen: Sighting) -> str:
    return f"{seen.fault}, or other commits skipped" if seen.fault == "incarnation" else seen.fault


def _verdict(seen: Sighting, mine: Sighting) -> str:
    if seen is mine:
        return "folded from the journals by this command"
    if seen.fault:
        return f"not comparable: another {_why(seen)}"
    if not seen.digest or seen.frontier != mine.frontier:
        return "not at the same place: it moves, or is behind"
    return "equal" if mine.digest.startswith(seen.digest) else "DIFFERS"


@view_app.command("rebuild")
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
