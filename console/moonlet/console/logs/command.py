"""`logs`: kept lines that fit, the newest last; more as they come, and from all hosts."""

import asyncio
import re
import sys
import time
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer

from moonlet.agents import gather, living_hosts
from moonlet.console.common import Options, command, on_stop, opened
from moonlet.console.logs.keeping import logs_folder
from moonlet.console.logs.showing import jumps, recorded, written
from moonlet.core.errors import Invalid, InvalidSettings
from moonlet.replay import moment_of, parse_moment, parse_point
from moonlet.telemetry.kept import LIMIT_MAX, LogLine, LogQuery, parse_line_id, search_logs

LOOK: Final = 0.25
"""Seconds between two looks at a folder that is followed."""

LOOK_AT_HOSTS: Final = 1.0
"""Seconds between two questions to hosts that are followed."""

LATE: Final = 5 * 10**6
"""Microseconds for which lines of hosts are asked for again: some come late."""

SEEN_MAX: Final = 100_000
"""Lines of which it is remembered that they were shown, of hosts that are followed."""

_AGO: Final = re.compile(r"\d+(ms|s|m|h|d)")

When = Annotated[str | None, typer.Option(metavar="TIME", help="10m ago, 08:45, or a date.")]
Id = Annotated[str, typer.Option(metavar="ID")]


@command
async def logs(
    options: Options,
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[TEXT]...",
            help="Words that stand in a line: 'two words' together, word* as its beginning; behind"
            " -- also -word, which must not.",
        ),
    ] = None,
    since: When = None,
    until: When = None,
    level: Annotated[str, typer.Option(help="This level or more.")] = "",
    agent: Annotated[str, typer.Option(metavar="AGENT", help="Of this agent.")] = "",
    at: Annotated[
        str,
        typer.Option(metavar="POINT", help="Of one commit: AGENT@REVISION, or its command's id."),
    ] = "",
    by_command: Annotated[
        str, typer.Option("--command", metavar="ID", help="Of this command.")
    ] = "",
    correlation: Annotated[str, typer.Option(metavar="ID", help="Of this conversation.")] = "",
    trace: Annotated[str, typer.Option(metavar="ID", help="Of this trace.")] = "",
    host: Annotated[str, typer.Option(metavar="HOST", help="Of this host.")] = "",
    module: Annotated[str, typer.Option(help="Of this module, and what is below it.")] = "",
    line: Annotated[
        str, typer.Option(metavar="ID", help="This line, what is around it, and its commit.")
    ] = "",
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, max=LIMIT_MAX, help="The newest so many.")
    ] = 100,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Show more as they come.")] = False,
    hosts: Annotated[
        bool, typer.Option("--hosts", help="Ask all hosts of the system, wherever they run.")
    ] = False,
) -> None:
    """Search what the hosts of this folder have logged; the newest line comes last."""
    text = " ".join(_phrase(word) for word in words or ())
    query = LogQuery(
        text=text, since=_moment(since), until=_moment(until), level=level, module=module,
        agent=agent, command=by_command, correlation=correlation, host=host, trace=trace,
        limit=limit,
    )  # fmt: skip
    query = _at(query, at)
    folder = logs_folder(options)
    stop = asyncio.Event()
    if follow:
        on_stop(stop.set)
    if hosts:
        if line:
            raise InvalidSettings("--line looks into one folder: leave --hosts out")
        await _of_hosts(options, query, stop if follow else None)
        return
    if not folder.is_dir():
        raise InvalidSettings(
            f"no logs are kept in {folder}: `moonlet run` keeps them in the folder where it runs,"
            " or that of --data; --hosts asks hosts elsewhere"
        )
    if line:
        await _around(options, folder, line, limit)
    else:
        await _of_folder(options, folder, query, stop if follow else None)


async def _of_folder(
    options: Options, folder: Path, query: LogQuery, stop: asyncio.Event | None
) -> None:
    found = await asyncio.to_thread(search_logs, folder, query)
    for trouble in found.troubles:
        options.output.remark(trouble)
    _show(options, found.lines)
    if stop is None:
        if not found.lines:
            options.output.remark("no line fits")
        return
    last = found.lines[-1].id if found.lines else _end(folder)
    query = msgspec.structs.replace(query, limit=LIMIT_MAX, since=0)
    while not await _stopped(stop, LOOK):
        more = await asyncio.to_thread(
            search_logs, folder, msgspec.structs.replace(query, after=last)
        )
        _show(options, more.lines)
        last = more.lines[-1].id if more.lines else last


def _end(folder: Path) -> str:
    """Where to go on from, if nothing that fits is there yet: the newest line, or now."""
    newest = search_logs(folder, LogQuery(limit=1)).lines
    if newest:
        return newest[0].id
    day = time.strftime("%Y-%m-%d", time.gmtime())
    return f"{day}:0"


async def _around(options: Options, folder: Path, id: str, count: int) -> None:
    there = parse_line_id(id)
    near = min(count, 10)
    before = search_logs(folder, LogQuery(before=id, limit=near))
    after = search_logs(folder, LogQuery(after=str(there._replace(row=there.row - 1)), limit=near))
    found = next((each for each in after.lines if each.id == str(there)), None)
    for trouble in {*before.troubles, *after.troubles}:
        options.output.remark(trouble)
    if found is None:
        raise Invalid(f"there is no line {id} in {folder} any more, or there never was")
    _show(options, before.lines)
    options.output.result(recorded(found), f"> {written(found, colours=_colours())}")
    _show(options, [each for each in after.lines if each.id != str(there)])
    for typed in jumps(found):
        options.output.remark(typed)


async def _of_hosts(options: Options, query: LogQuery, stop: asyncio.Event | None) -> None:
    seen: dict[tuple[str, str], None] = {}
    told: set[str] = set()
    async with opened(options) as session:
        bus = session.moon.bus
        while True:
            hosts = await living_hosts(bus)
            if not hosts and stop is None:
                options.output.remark("no host runs now")
                return
            answer = await gather(bus, "logs", msgspec.json.encode(query), hosts=hosts)
            for trouble in answer.troubles:
                if trouble not in told:
                    told.add(trouble)
                    options.output.remark(trouble)
            lines = {(line.store, line.id): line for line in _lines(answer.items)}
            fresh = [line for key, line in lines.items() if key not in seen]
            fresh.sort(key=lambda line: (line.time, line.store, line.id))
            _show(options, fresh[-query.limit :])
            if stop is None or await _stopped(stop, LOOK_AT_HOSTS):
                return
            seen.update(dict.fromkeys(lines))
            for key in list(seen)[: max(0, len(seen) - SEEN_MAX)]:
                del seen[key]
            newest = max((line.time for line in lines.values()), default=0)
            since = max(query.since, newest - LATE)
            query = msgspec.structs.replace(query, since=since, limit=LIMIT_MAX)


def _lines(items: dict[str, list[Any]]) -> list[LogLine]:
    try:
        return [msgspec.convert(item, LogLine) for each in items.values() for item in each]
    except msgspec.ValidationError as error:
        raise Invalid(
            f"a host's lines can't be read ({error}): run one version of Moonlet"
        ) from None


async def _stopped(stop: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return False
    return True


def _show(options: Options, lines: list[LogLine]) -> None:
    for each in lines:
        text = "" if options.output.json else written(each, colours=_colours())
        options.output.result(recorded(each) if options.output.json else {}, text)
    sys.stdout.flush()


def _colours() -> bool:
    return sys.stdout.isatty()


def _phrase(word: str) -> str:
    """What the shell gave as one word stands together."""
    if " " in word.strip() and '"' not in word:
        minus = "-" if word.startswith("-") else ""
        return f'{minus}"{word.removeprefix("-")}"'
    return word


def _moment(text: str | None) -> int:
    if text is None:
        return 0
    if _AGO.fullmatch(text):
        text = f"-{text}"
    now = time.time_ns() // 1_000
    return max(0, moment_of(parse_moment(text), now_us=now, last_us=now))


def _at(query: LogQuery, text: str) -> LogQuery:
    """The lines of one commit."""
    if not text:
        return query
    point = parse_point(text)
    if point.kind == "revision" and point.agent is not None:
        return msgspec.structs.replace(query, agent=str(point.agent), revision=point.revision)
    if point.kind == "id":
        return msgspec.structs.replace(query, command=point.id)
    raise Invalid(f"--at {text}: write AGENT@REVISION, or a command's id")
