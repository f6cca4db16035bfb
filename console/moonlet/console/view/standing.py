"""`moonlet views`, `moonlet view NAME lag`: how replicas stand now, and how far they are behind."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

import msgspec
import typer

from moonlet.console.common import Options, command, opened, table
from moonlet.core.errors import Invalid, MoonletError
from moonlet.core.ids import check_name
from moonlet.projections import Enrolled, Roster, Status, operate
from moonlet.streams import Bus, stream_facts

LISTEN_SECONDS: Final = 2.0
"""How long a replica has to answer; one that is gone is known to be at once."""

CLOSED: Final = "closed"

SILENT: Final = "silent"
"""How a replica stands that didn't say it would close, but doesn't answer."""


@command
async def views(
    options: Options,
    dismiss: Annotated[
        str | None,
        typer.Option(metavar="VIEW/REPLICA", help="Forget a replica that won't come back."),
    ] = None,
) -> None:
    """List the replicas of all views: how each stands, and how far behind the journals it is."""
    async with opened(options) as session:
        bus = session.moon.bus
        roster = Roster(bus)
        known = await roster.replicas()
        if dismiss is not None:
            await _dismiss(roster, bus, known, dismiss)
            options.output.result({"dismissed": dismiss}, f"{dismiss} is forgotten")
            return
        heard = await ask_all(bus, known)
        ends = await _ends(bus)
    _print(options, known, heard, ends)


@command
async def lag(options: Options, parent: typer.Context) -> None:
    """Ask the replicas that run: how far each is behind the journals' ends."""
    async with opened(options) as session:
        bus = session.moon.bus
        known = await Roster(bus).replicas(check_name(parent.obj, "view"))
        heard = [now for now in await ask_all(bus, known) if now is not None]
        ends = await _ends(bus)
    rows = [("REPLICA", "STANDING", "BEHIND", "NOT ON DISK")]
    records: list[dict[str, Any]] = []
    for now in heard:
        behind, lost = _missing(now.frontier, ends), _missing(now.durable, now.frontier)
        rows.append((now.replica, now.standing, f"{behind:,}", f"{lost:,}"))
        records.append(
            {
                "replica": now.replica,
                "version": now.version,
                "standing": now.standing,
                "behind": behind,
                "not_on_disk": lost,
                "frontier": now.frontier,
            }
        )
    lines = table(rows, right=(2, 3))
    if heard and not options.output.json:
        options.output.result({}, lines[0])
    for record, line in zip(records, lines[1:], strict=True):
        options.output.result(record, line)
    if not heard:
        options.output.remark(
            f"no replica of {parent.obj} runs: `moonlet views` lists those that were here"
        )


async def _dismiss(roster: Roster, bus: Bus, known: Sequence[Enrolled], name: str) -> None:
    found = [entry for entry in known if f"{entry.view}/{entry.replica}" == name]
    if not found:
        raise Invalid(f"--dismiss {name}: no such replica; `moonlet views` lists them")
    if any(await ask_all(bus, found)):
        raise Invalid(f"--dismiss {name}: it runs, and would be back at once; close it first")
    await roster.dismiss(found[0].view, found[0].replica)


async def ask_all(bus: Bus, known: Sequence[Enrolled]) -> list[Status | None]:
    """How those replicas stand now; None for one that doesn't answer."""
    asked = (
        operate(bus, entry.view, entry.replica, "status", timeout=LISTEN_SECONDS) for entry in known
    )
    answers = await asyncio.gather(*asked, return_exceptions=True)
    heard: list[Status | None] = []
    for answer in answers:
        if isinstance(answer, BaseException) and not isinstance(answer, MoonletError):
            raise answer
        heard.append(answer if isinstance(answer, Status) else None)
    return heard


async def _ends(bus: Bus) -> dict[str, int]:
    found = [await stream_facts(bus, name) for name in bus.topology.journal_streams]
    return {facts.name: facts.last for facts in found if facts}


def _print(
    options: Options,
    known: Sequence[Enrolled],
    heard: Sequence[Status | None],
    ends: Mapping[str, int],
) -> None:
    found = [_line(entry, now, ends) for entry, now in zip(known, heard, strict=True)]
    rows = [("VIEW", "REPLICA", "STANDING", "BEHIND", "SAID")]
    for each, now in zip(found, heard, strict=True):
        said = f"{max(0.0, time.time() - each.time / 1e6):,.0f} s ago" if now is None else "now"
        view = f"{each.view}@{each.version}"
        rows.append((view, each.replica, each.standing, f"{each.behind:,}", said))
    lines = table(rows, right=(3,))
    if not options.output.json and known:
        options.output.result({}, lines[0])
    for each, line in zip(found, lines[1:], strict=True):
        options.output.result(msgspec.structs.asdict(each), line)
    for each in found:
        if each.failure:
            options.output.remark(f"{each.replica}: {each.failure}")
    if not known:
        options.output.remark(
            "no replica was here yet: open one with moonlet.projections.Replica, or look at a view"
            " with `moonlet view NAME get`"
        )


class Line(msgspec.Struct, frozen=True):
    """What is printed of a replica; `failure` is what stopped it, with the event's place."""

    view: str
    version: int
    replica: str
    standing: str
    behind: int
    durable: dict[str, int]
    time: int
    failure: str = ""
    stream: str = ""
    sequence: int = 0
    type: str = ""


def _line(entry: Enrolled, now: Status | None, ends: Mapping[str, int]) -> Line:
    durable = entry.durable if now is None else now.durable
    line = Line(
        view=entry.view,
        version=entry.version if now is None else now.version,
        replica=entry.replica,
        standing=entry.standing if entry.standing == CLOSED else SILENT,
        behind=_missing(durable, ends),
        durable=durable,
        time=entry.time,
    )
    if now is None:
        return line
    return msgspec.structs.replace(
        line,
        standing=now.standing,
        failure=now.failure,
        stream=now.stream,
        sequence=now.sequence,
        type=now.type,
    )


def _missing(at: Mapping[str, int], ends: Mapping[str, int]) -> int:
    """Commits up to the ends, of the journals that are named in `at`."""
    return sum(max(0, ends.get(journal, 0) - sequence) for journal, sequence in at.items())
