"""`demo`: eight satellites, a host of their own, and the night of the depeg."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from moonlet.agents import connect
from moonlet.console.common import (
    ExitCode,
    Options,
    command_without,
    find_code,
    on_stop,
    progress,
)
from moonlet.console.demo.hosts import DemoHosts
from moonlet.console.demo.replicas import DemoReplicas
from moonlet.console.demo.report import Told
from moonlet.console.demo.store import prepared
from moonlet.satellites import SATELLITES
from moonlet.satellites.night import depeg, drive, read_feed, report


@command_without("url", "context")
async def demo(
    options: Options,
    feed: Annotated[
        Path | None, typer.Option(help="A CSV of prices instead of the shipped feed.")
    ] = None,
    speed: Annotated[float, typer.Option(help="2 is twice as fast.", min=0.01, max=1000)] = 1.0,
    kill: Annotated[
        bool, typer.Option("--kill", help="Kill the host with SIGKILL in mid-run, start another.")
    ] = False,
    web: Annotated[
        bool,
        typer.Option("--web", help="Show it in a browser meanwhile, and afterwards until Ctrl-C."),
    ] = False,
    keep: Annotated[
        bool, typer.Option("--keep", help="Go on from what the last demo stored.")
    ] = False,
) -> int:
    """Run eight satellites through the night of the depeg, and report what happened."""
    quotes = read_feed(feed) if feed is not None else depeg()
    output = options.output
    home = options.folder / ".moonlet"
    log, views = home / "demo-host.log", home / "demo-views"
    async with (
        prepared(options.folder, keep=keep) as server,
        connect(server.url, agents=SATELLITES) as moon,
        DemoHosts(moon, server.url, log, output) as hosts,
        AsyncExitStack() as stack,
    ):
        if web:
            await stack.enter_async_context(_shown(options, server.url))
        output.remark(
            f"eight satellites run in process {hosts.pid}, on {server.url}; {len(quotes):,} prices"
        )
        async with DemoReplicas(moon, server.url, views, output) as replicas:
            with progress(output, "the night of the depeg", "ticks") as advance:
                watch = replicas.watch(hosts.watch(advance))
                driving = drive(moon, quotes, speed=speed, progress=watch)
                driven = await hosts.through(driving, kill=kill)
            shown = await replicas.finish()
        found = report(driven.commits, driven.sent)
        told = Told(found, driven, hosts.kills, shown, options.folder)
        output.result(told.record(), told.text())
        if web:
            sys.stdout.flush()
            output.remark("the night can be looked at until Ctrl-C")
            stop = asyncio.Event()
            on_stop(stop.set)
            await stop.wait()
    missed = kill and not hosts.kills
    if missed:
        output.remark("no kill met a command in flight: run it again")
    return ExitCode.FOUND if missed or not told.is_clean else ExitCode.OK


@asynccontextmanager
async def _shown(options: Options, url: str) -> AsyncIterator[None]:
    """The web console over the demo's server."""
    from moonlet.console.replay import reading
    from moonlet.console.web import web_console
    from moonlet.web import WebAddress

    code = find_code(["moonlet.satellites"])
    there = msgspec.structs.replace(options, url=url, embedded=False)
    async with (
        reading(there, None, code.types.values()) as opened,
        web_console(options, opened, code, WebAddress()),
    ):
        yield
