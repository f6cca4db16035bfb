"""`up` and `run`: the embedded server, or a host, in the foreground until it is told to stop."""

import asyncio
import os
import sys
import threading
import time
from collections.abc import Coroutine
from contextlib import AsyncExitStack, nullcontext
from functools import partial
from typing import Annotated, Any, Final

import typer

from moonlet.agents import AlertWatch, Host, HostEar, HostPages, host_topics
from moonlet.console.common import (
    RESTARTS,
    Child,
    ExitCode,
    Internal,
    Mailbox,
    Options,
    Replicas,
    Session,
    alert_settings,
    asked_topology,
    command,
    find_own,
    on_stop,
    opened,
    outcome,
    supervise,
)
from moonlet.console.logs import KeepLogs, keeper_of, told_logs
from moonlet.core.errors import Unavailable
from moonlet.streams import BlockedMarks, Topology, attach_embedded, open_embedded
from moonlet.telemetry.alerts import RULES, changed_rules, webhook

DRAIN_MAX: Final = 9.5
"""Seconds that a host may take to finish what is in flight and hand over."""

ORPHAN_MAX: Final = 2.0
"""Seconds that a host has to leave when the process it was to end with is gone."""

LOOK: Final = 0.5
"""Seconds between two looks at whether what we serve with still lives."""

MetricsPort = Annotated[
    int | None,
    typer.Option(
        help="Serve /metrics, /health and /ready on this port of 127.0.0.1; 0: a free one.",
        min=0,
        max=65_535,
    ),
]
AlertWebhooks = Annotated[
    list[str] | None,
    typer.Option(help="POST alerts that fire or clear to this address; may be given again."),
]


@command
async def up(options: Options) -> None:
    """Run the folder's embedded server in the foreground; Ctrl-C or SIGTERM stops it."""
    stop = asyncio.Event()
    async with await open_embedded(options.folder) as server:
        on_stop(stop.set)
        if not server.owned:
            raise Unavailable(
                f"process {server.owner_pid} runs this folder's server already, at {server.url}:"
                " use that one, end that process, or choose another folder with --data"
            )
        data = options.folder.resolve() / ".moonlet" / "data"
        record = {"url": server.url, "monitoring_url": server.monitoring_url, "data": str(data)}
        options.output.result(record, f"{server.url}  (Ctrl-C stops it; data in {data})")
        sys.stdout.flush()
        while not await _within(stop.wait(), LOOK):
            if not server.process.pid:
                raise Unavailable(
                    f"the server ended by itself: see {data.parent / 'server' / 'server.log'}"
                )
    options.output.remark("stopped")


@command
def run(
    options: Options,
    modules: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="MODULE[:NAME]...",
            help="Where the agent types are, else what ./pyproject.toml lists.",
        ),
    ] = None,
    lease: Annotated[
        int, typer.Option(help="Seconds after which others take over if this is killed.", min=1)
    ] = 5,
    until_stdin_closes: Annotated[
        bool,
        typer.Option("--until-stdin-closes", help="End with the process that holds our stdin."),
    ] = False,
    handler_limit: Annotated[
        float,
        typer.Option(
            help="Seconds over which a handler ends the host's process and is parked; 0: never."
        ),
    ] = 10.0,
    restarts: Annotated[
        int,
        typer.Option(
            help="How often within ten minutes the host is started again after it crashed, or a"
            " handler ended it; 0: not, and no second process watches it.",
            min=0,
        ),
    ] = RESTARTS,
    metrics: Annotated[
        bool, typer.Option(help="Count and judge, for `moonlet top` and `moonlet alerts`.")
    ] = True,
    metrics_port: MetricsPort = None,
    alert_webhook: AlertWebhooks = None,
    keep_logs: KeepLogs = True,
    replicas: Replicas = None,
    mailbox: Mailbox = None,
    internal: Internal = None,
) -> int:
    """Run a host for agent types; SIGTERM or Ctrl-C: finish, hand over, exit 0 within 10 s.

    The first host stores replicas and sizes; later `moonlet topology apply` alone changes them.
    """
    asked = asked_topology(Topology(prefix=options.prefix), replicas, mailbox, internal)

    def serve(child: Child) -> int:
        given = {
            "modules": modules,
            "lease": lease,
            "until_stdin_closes": until_stdin_closes,
            "handler_limit": handler_limit,
            "measured": metrics or metrics_port is not None or bool(alert_webhook),
            "metrics_port": metrics_port,
            "alert_webhook": alert_webhook,
            "keep_logs": keep_logs,
            "child": child,
            "topology": asked,
        }
        return outcome(_serve, options, given)

    kept = partial(keeper_of, options) if keep_logs else nullcontext
    return supervise(serve, restarts=restarts, limit=handler_limit, kept=kept)


async def _serve(
    options: Options,
    modules: list[str] | None,
    lease: int,
    until_stdin_closes: bool,
    handler_limit: float,
    measured: bool,
    metrics_port: int | None,
    alert_webhook: list[str] | None,
    keep_logs: bool,
    child: Child,
    topology: Topology,
) -> int:
    types = list(find_own(modules).values())
    stop = asyncio.Event()
    on_stop(stop.set)
    rules = changed_rules(RULES, alert_settings())
    calls = [webhook(url) for url in alert_webhook or ()]
    async with AsyncExitStack() as kept, AsyncExitStack() as stack:
        if keep_logs:
            keeper = kept.enter_context(keeper_of(options))
        session = await kept.enter_async_context(opened(options, types, topology=topology))
        host = Host(session.moon, types, lease=lease, handler_limit=handler_limit, metrics=measured)
        host.running, host.beats = child.running, child
        if child.former is not None and child.former.agent:
            await BlockedMarks(session.moon.bus).put(child.former)
        try:
            await host.start()
            if until_stdin_closes:
                _end_with_stdin(stop)
            watch = AlertWatch(host, rules, calls) if measured else None
            if watch is not None:
                await stack.enter_async_context(watch)
            topics = host_topics(host, watch)
            if keep_logs:
                topics["logs"] = partial(told_logs, keeper.folder.path)
            await stack.enter_async_context(HostEar(session.moon.bus, lambda: host.id, topics))
            names = sorted(host.types)
            record = {"host": host.id, "types": names, "url": session.where}
            said = f"running {', '.join(names)} on {session.where}  (Ctrl-C stops)"
            if metrics_port is not None:
                pages = await stack.enter_async_context(HostPages(host, metrics_port, watch))
                record["metrics"] = f"{pages.address}/metrics"
                said += f"\nmetrics: {pages.address}/metrics"
            options.output.result(record, said)
            sys.stdout.flush()
            await _until_stopped(options, session, host, stop)
        finally:
            child.ends()
            drained = await _within(host.stop(), DRAIN_MAX)
        if not drained:
            raise Unavailable(
                f"the host could not hand over within {DRAIN_MAX} s; others take over when its"
                f" lease of {lease} s has run out"
            )
    options.output.remark("handed over and stopped")
    return ExitCode.OK


async def _until_stopped(
    options: Options, session: Session, host: Host, stop: asyncio.Event
) -> None:
    """Wait for the stop; raises what else ends a host."""
    while not await _within(stop.wait(), LOOK):
        if host.failure is not None:
            raise host.failure
        server = session.server
        if server is None or session.moon.bus.connected:
            continue
        # An embedded server that comes back does so at another address.
        found = await attach_embedded(options.folder)
        if found is None or found.url != server.url:
            raise Unavailable(
                f"the server of {options.folder.resolve()} has ended: start it with `moonlet up`,"
                " then this host again"
            )


async def _within(work: Coroutine[Any, Any, Any], seconds: float) -> bool:
    """Whether `work` was done in time; else it is cancelled."""
    try:
        async with asyncio.timeout(seconds):
            await work
    except TimeoutError:
        return False
    return True


def _end_with_stdin(stop: asyncio.Event) -> None:
    """Stop when stdin ends, which the kernel closes even if its holder is killed.

    The server may be gone as well then: what can't be handed over soon is left to the lease.
    """
    loop = asyncio.get_running_loop()

    def watch() -> None:
        while os.read(0, 1024):
            pass
        loop.call_soon_threadsafe(stop.set)
        time.sleep(ORPHAN_MAX)
        os._exit(ExitCode.UNAVAILABLE)

    threading.Thread(target=watch, name="stdin", daemon=True).start()
