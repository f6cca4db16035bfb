"""`top`: asks all hosts for their metrics every few seconds, and shows what happened between."""

import asyncio
import shutil
import sys
from datetime import UTC, datetime
from typing import Annotated, Final

import msgspec
import typer

from moonlet.agents import gather, living_hosts
from moonlet.console.common import Options, Session, command, on_stop, opened
from moonlet.console.top.reading import Look, command_rows, host_rows, type_rows
from moonlet.console.top.showing import TopLook, screen
from moonlet.core.errors import Invalid
from moonlet.streams import server_load
from moonlet.telemetry.metrics import families_of

CLEAR: Final = "\x1b[H\x1b[J"
"""The cursor home, and nothing on the screen."""

ROWS: Final = 12
"""Lines of each table, unless told otherwise."""


@command
async def top(
    options: Options,
    every: Annotated[
        float, typer.Option(min=0.2, max=3_600, help="Seconds between two looks.")
    ] = 2.0,
    once: Annotated[bool, typer.Option("--once", help="Look twice, print once, and end.")] = False,
    rows: Annotated[int, typer.Option(min=1, max=10_000, help="Lines of each table.")] = ROWS,
) -> None:
    """Rates, waiting times, handlers and hosts, as they are now; Ctrl-C ends it.

    Asks the hosts themselves; they answer unless they run with --no-metrics.
    """
    stop = asyncio.Event()
    on_stop(stop.set)
    async with opened(options) as session:
        loop = asyncio.get_running_loop()
        before, troubles = await _look(session)
        looked = loop.time()
        while not await _stopped(stop, every):
            now, troubles = await _look(session)
            seconds, looked = loop.time() - looked, loop.time()
            standing = await _standing(session, options, before, now, seconds, troubles)
            text = "" if options.output.json else screen(standing, rows)
            if sys.stdout.isatty() and not once and not options.output.json:
                sys.stdout.write(CLEAR)
            options.output.result(msgspec.to_builtins(standing), text)
            sys.stdout.flush()
            if once:
                return
            before = now


async def _look(session: Session) -> tuple[Look, list[str]]:
    bus = session.moon.bus
    answer = await gather(bus, "figures", hosts=await living_hosts(bus))
    found, troubles = {}, list(answer.troubles)
    for host, items in answer.items.items():
        try:
            found[host] = families_of(items)
        except Invalid as error:
            troubles.append(f"host {host}: {error}")
    if not found and not troubles:
        troubles.append("no host runs now")
    return found, troubles


async def _standing(
    session: Session, options: Options, before: Look, now: Look, seconds: float, told: list[str]
) -> TopLook:
    server, bus = session.server, session.moon.bus
    load = await server_load(bus, server.monitoring_url if server is not None else None)
    firing = await gather(bus, "alerts", b"{}", hosts=list(now)) if now else None
    alerts = [
        f"{item.get('severity')} {item.get('rule')} on {host}: {item.get('meaning')}"
        for host, items in (firing.items.items() if firing is not None else ())
        for item in items
        if isinstance(item, dict) and item.get("is") == "firing"
    ]
    return TopLook(
        at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        seconds=round(seconds, 3),
        server=load,
        disk_free=shutil.disk_usage(options.folder).free if server is not None else None,
        types=type_rows(before, now, seconds),
        commands=command_rows(before, now, seconds),
        hosts=host_rows(before, now, seconds),
        alerts=sorted(alerts),
        troubles=told,
    )


async def _stopped(stop: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return False
    return True
