"""`moonlet sim import` and `moonlet sim history`: real histories for worlds to go on with."""

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from moonlet.console.common import (
    Options,
    command,
    command_without,
    counted,
    opened,
    progress,
    table,
)
from moonlet.core.errors import InvalidSettings
from moonlet.simulations.bundle import Bundle, read_bundle, registered, take_bundle, write_bundle

FAMILIES = {
    "evt": "commits",
    "cmd": "waiting",
    "in": "waiting",
    "call": "calls",
    "timer": "timers",
    "fire": "timers",
    "snap": "snapshots",
    "parked": "parked",
}
"""What a subject's second token stands for in the table."""

COLUMNS = ("commits", "waiting", "calls", "timers", "snapshots", "parked")

local = command_without("url", "context", "data", "prefix")


@command
async def import_(
    options: Options,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write the bundle.")],
    patience: Annotated[
        float, typer.Option(min=0, help="Seconds to wait until the server is still.")
    ] = 10.0,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:
    """Take a server's history, for worlds to start from: @simulate(..., history=FILE). Read-only.

    Journals, waiting commands, calls, timers, snapshots, what is parked, who owned what; no topics
    and no views. The server must be still for a moment: hosts may run, if nobody asks them.
    """
    if file.exists() and not force:
        raise InvalidSettings(f"{file} is there already: name another, or replace it with --force")
    if not file.parent.is_dir():
        raise InvalidSettings(f"{file}: there is no folder {file.parent}; make it")
    async with opened(options) as session:
        with progress(options.output, "importing", "messages") as advance:
            bundle = await take_bundle(session.moon.bus, patience=patience, progress=advance)
    try:
        digest = write_bundle(file, bundle)
    except OSError as error:
        raise InvalidSettings(f"{file}: {error.strerror}") from None
    _tell(options, file, bundle, digest)


@local
def history(
    options: Options,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A bundle.")],
) -> None:
    """What a bundle holds, by agent type."""
    _tell(options, file, *read_bundle(file))


def holdings(bundle: Bundle) -> dict[str, Counter[str]]:
    """By agent type, sorted: its agents, and what the streams hold of them."""
    start = len(bundle.topology.prefix) + 1
    agents: dict[str, set[str]] = {name: set() for name in registered(bundle)}
    counts: dict[str, Counter[str]] = {name: Counter() for name in agents}
    for held in bundle.streams:
        for message in held.messages:
            family, _, rest = message.subject[start:].partition(".")
            what = FAMILIES.get(family)
            tokens = rest.split(".")
            if what is None or len(tokens) < 2 or tokens[0] not in counts:
                continue  # a bucket's, an outcome's, a view's, or foreign
            counts[tokens[0]][what] += 1
            if family == "evt":
                agents[tokens[0]].add(tokens[1])
    for name, keys in agents.items():
        counts[name]["agents"] = len(keys)
    return dict(sorted(counts.items()))


def _tell(options: Options, file: Path, bundle: Bundle, digest: str) -> None:
    moment = datetime.fromtimestamp(bundle.taken // 10**9, UTC).isoformat(sep=" ")
    size = file.stat().st_size
    held = holdings(bundle)
    shown = [name for name in COLUMNS if any(counts[name] for counts in held.values())]
    rows = [("TYPE", "AGENTS", *(name.upper() for name in shown))]
    rows += [
        (name, f"{counts['agents']:,}", *(f"{counts[column]:,}" for column in shown))
        for name, counts in held.items()
    ]
    facts: dict[str, Any] = {
        "file": str(file),
        "digest": digest,
        "bytes": size,
        "taken": moment.replace(" ", "T"),
        "server": bundle.server,
        "journals": len(bundle.topology.journals),
        "messages": bundle.messages,
        "types": {name: {"agents": 0, **counts} for name, counts in held.items()},
    }
    lines = [
        *table(rows, right=tuple(range(1, len(rows[0])))),
        f"{counted(bundle.messages, 'message')} of {moment.removesuffix('+00:00')} (UTC),"
        f" nats-server {bundle.server}: {size:,} bytes in {file}",
    ]
    options.output.result(facts, "\n".join(lines))
