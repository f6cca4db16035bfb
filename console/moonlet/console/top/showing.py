"""`top` as text: aligned tables that fit a terminal."""

from collections.abc import Sequence

import msgspec

from moonlet.console.common import table
from moonlet.console.top.reading import CommandRow, HostRow, Times, TypeRow
from moonlet.streams import ServerLoad


class TopLook(msgspec.Struct, frozen=True):
    """One look: all that `top` shows, and with `--json` prints."""

    at: str
    seconds: float
    server: ServerLoad
    disk_free: int | None
    types: list[TypeRow]
    commands: list[CommandRow]
    hosts: list[HostRow]
    alerts: list[str]
    troubles: list[str]


def screen(standing: TopLook, rows: int) -> str:
    """The whole of it, in at most `rows` lines of each table."""
    lines = [f"{standing.at}  over {standing.seconds:.1f} s  {_server(standing)}"]
    lines += [f"! {alert}" for alert in standing.alerts[:rows]]
    lines += ["", *_types(standing.types[:rows])]
    if standing.commands:
        lines += ["", *_commands(standing.commands[:rows])]
    lines += ["", *_hosts(standing.hosts[:rows])]
    for name, found in (("types", standing.types), ("commands", standing.commands),
                        ("hosts", standing.hosts)):  # fmt: skip
        if len(found) > rows:
            lines.append(f"… and {len(found) - rows} {name} more")
    return "\n".join([*lines, *standing.troubles[:rows]])


def _server(standing: TopLook) -> str:
    load = standing.server
    told = [f"server {load.version}" if load.version else "server: no monitoring page"]
    if load.fsync is not None:
        told.append("fsync" if load.fsync else "no fsync")
    if load.stored is not None:
        limit = f" of {size(load.stored_max)}" if load.stored_max and load.stored_max > 0 else ""
        told.append(f"{size(load.stored)}{limit} stored")
    if standing.disk_free is not None:
        told.append(f"{size(standing.disk_free)} free")
    if load.cpu is not None:
        told.append(f"cpu {load.cpu:.0f} %")
    if load.slow_consumers:
        told.append(f"{load.slow_consumers} SLOW CONSUMERS")
    return ", ".join(told)


def _types(rows: Sequence[TypeRow]) -> list[str]:
    head = ("type", "cmd/s", "refused/s", "parked/s", "busy", "wait p50", "p95", "p99",
            "handler p50", "p99", "agents", "waiting", "timers", "calls")  # fmt: skip
    cells = [
        (row.type, rate(row.commands), rate(row.rejected + row.expired), rate(row.parked),
         share(row.busy), *_three(row.wait), span(row.handler.p50), span(row.handler.p99),
         f"{row.agents:,}", f"{row.waiting:,}", f"{row.timers:,}", f"{row.calls:,}")
        for row in rows
    ]  # fmt: skip
    return table([head, *cells], right=tuple(range(1, len(head))))


def _commands(rows: Sequence[CommandRow]) -> list[str]:
    head = ("command", "cmd/s", "busy", "handler p50", "p95", "p99")
    cells = [
        (f"{row.type} {row.command}", rate(row.commands), share(row.busy), *_three(row.handler))
        for row in rows
    ]
    return table([head, *cells], right=(1, 2, 3, 4, 5))


def _hosts(rows: Sequence[HostRow]) -> list[str]:
    head = ("host", "partitions", "agents", "cmd/s", "cpu", "memory", "loop lag p99", "lease left",
            "alarms", "takeovers")  # fmt: skip
    cells = [
        (row.host, str(row.partitions), f"{row.agents:,}",
         rate(row.commands) if row.measured else "not measured",
         share(row.cpu), size(row.memory), span(row.lag), span(row.lease_left),
         str(row.alarms), str(row.takeovers))
        for row in rows
    ]  # fmt: skip
    return table([head, *cells], right=tuple(range(1, len(head))))


def _three(times: Times) -> tuple[str, str, str]:
    return span(times.p50), span(times.p95), span(times.p99)


def rate(value: float) -> str:
    """Of what comes in a second."""
    return f"{value:,.0f}" if value >= 10 or not value else f"{value:.1f}"


def share(value: float | None) -> str:
    """Of one core."""
    return "–" if value is None else f"{value:.0%}"


def span(seconds: float | None) -> str:
    """A time in the unit that fits it."""
    if seconds is None:
        return "–"
    for least, unit, factor in ((1.0, "s", 1.0), (1e-3, "ms", 1e3)):
        if seconds >= least:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds * 1e6:.0f} µs"


def size(count: float | None) -> str:
    """Bytes."""
    if count is None:
        return "–"
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1_024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1_024
    return f"{count:.1f} TiB"
