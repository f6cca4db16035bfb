"""How a system stands: its journals, hosts, what waits, what is parked, its views."""

import asyncio
from typing import Any, Final

import msgspec

from moonlet.core.errors import Invalid, MoonletError
from moonlet.projections import Roster, Status, operate
from moonlet.replay import plain_state, view_at
from moonlet.replay.waiting import waiting_agents, waiting_of
from moonlet.streams import Bus, Leases, next_message, read_parked, stream_facts
from moonlet.web.answers.hosts import firing
from moonlet.web.reading import Parameters, SystemReader, brief, cut, state_text

SHOWN_MAX: Final = 500
"""Agents, or parked messages, in one answer."""

LISTEN_SECONDS: Final = 2.0
"""How long a replica has to answer."""


def bus_of(reader: SystemReader) -> Bus:
    """The server; raises `Invalid` of a bundle, which has none."""
    if reader.system.bus is None:
        raise Invalid("this is a bundle: what waits now, who runs and what is parked it can't say")
    return reader.system.bus


async def overview(reader: SystemReader, asked: Parameters) -> dict[str, Any]:
    """What is looked at, its journals, and on a server hosts, queues and what waits."""
    source, system = reader.source, reader.system
    found: dict[str, Any] = {
        "source": source.description,
        "live": system.bus is not None,
        "now": source.now_us(),
        "journals": await source.journals(),
        "types": sorted(system.types),
        "hosts": [],
        "waiting": {},
        "streams": [],
        "watched": len(system.pages),
        "oldest": None,
        "changes": reader.hosts.changes if reader.hosts is not None else [],
        "firing": await firing(reader),
        "command": system.command("doctor") if system.bus is not None else "",
    }
    if system.bus is not None:
        found |= await _server(system.bus)
    return found


async def _server(bus: Bus) -> dict[str, Any]:
    topology = bus.topology
    streams = []
    for name in ("mailboxes", "internal", "timers", "parked"):
        facts = await stream_facts(bus, topology.stream(name))
        if facts is not None:
            streams.append({"name": name, "messages": facts.messages})
    hosts: list[dict[str, Any]] = []
    if await stream_facts(bus, topology.bucket("leases")) is not None:
        living, partitions = await Leases(bus, 1).look()
        owners: dict[str, list[str]] = {}
        for (kind, number), record in sorted(partitions.items()):
            owners.setdefault(record.owner, []).append(f"{kind}/{number}")
        known = {host.host for host in living}
        hosts = [{**msgspec.to_builtins(h), "partitions": owners.get(h.host, [])} for h in living]
        for name in sorted(set(owners) - known):
            who = name or "nobody"
            hosts.append({"host": who, "gone": True, "types": [], "partitions": owners[name]})
    totals: dict[str, int] = {}
    for counts in (await waiting_agents(bus)).values():
        for kind, count in counts.items():
            totals[kind] = totals.get(kind, 0) + count
    oldest = await _oldest(bus)
    return {"streams": streams, "hosts": hosts, "waiting": totals, "oldest": oldest}


async def _oldest(bus: Bus) -> dict[str, Any] | None:
    """The command that has waited longest, and for whom; None if none waits."""
    found: dict[str, Any] | None = None
    for name in ("mailboxes", "internal"):
        stream = bus.topology.stream(name)
        if await stream_facts(bus, stream) is None:
            continue
        message = await next_message(bus, stream, f"{bus.subjects.prefix}.>", start=1)
        if message is None:
            continue
        seconds = max(0.0, (bus.clock.now_us() - message.time // 1_000) / 1_000_000)
        if found is None or seconds > found["seconds"]:
            agent = bus.subjects.agent(message.subject)
            found = {"agent": str(agent or message.subject), "seconds": seconds}
    return found


async def waiting(reader: SystemReader, asked: Parameters) -> dict[str, Any]:
    """Who waits for anything; with `agent` what that one waits for."""
    bus = bus_of(reader)
    if asked.text("agent", ""):
        agent = asked.agent()
        found: dict[str, Any] = msgspec.to_builtins(await waiting_of(bus, agent))
        return {
            "now": bus.clock.now_us(),
            "agent": found,
            "command": reader.system.command("waiting", str(agent)),
        }
    everyone = await waiting_agents(bus)
    rows = [{"agent": str(agent), **counts} for agent, counts in everyone.items()]
    rows.sort(key=lambda row: -sum(count for count in row.values() if isinstance(count, int)))
    return {
        "agents": rows[:SHOWN_MAX],
        "more": max(0, len(rows) - SHOWN_MAX),
        "command": reader.system.command("waiting"),
    }


async def parked(reader: SystemReader, asked: Parameters) -> dict[str, Any]:
    """What is parked, the newest first, with its cause and the traceback of its handler."""
    messages = await read_parked(bus_of(reader), asked.agent() if asked.text("agent", "") else None)
    rows = [
        {
            "number": message.sequence,
            "time": message.time // 1_000,
            "agent": message.parked.agent,
            "revision": message.parked.revision,
            "name": cut(message.parked.name),
            "effect": message.parked.effect.kind if message.parked.effect is not None else "",
            "cause": cut(message.parked.reason, 2_000),
            "attempts": message.attempts,
            "traceback": cut(message.stack, 20_000),
            "retry": reader.system.command("parked", "retry", str(message.sequence)),
        }
        for message in reversed(messages)
    ]
    return {
        "parked": rows[:SHOWN_MAX],
        "more": max(0, len(rows) - SHOWN_MAX),
        "command": reader.system.command("parked", "list"),
    }


async def views(reader: SystemReader, asked: Parameters) -> dict[str, Any]:
    """The views whose code is known, and on a server their replicas: standing, lag, digests."""
    bus = reader.system.bus
    replicas: list[dict[str, Any]] = []
    if bus is not None:
        known = await Roster(bus).replicas()
        calls = [
            operate(bus, each.view, each.replica, "status", timeout=LISTEN_SECONDS)
            for each in known
        ]
        answers = await asyncio.gather(*calls, return_exceptions=True)
        ends = {facts.stream: facts.last for facts in await reader.source.journals()}
        for each, answer in zip(known, answers, strict=True):
            if isinstance(answer, BaseException) and not isinstance(answer, MoonletError):
                raise answer
            now = answer if isinstance(answer, Status) else None
            replicas.append(_replica(each, now, ends))
    return {
        "views": [{"name": v.name, "version": v.version} for v in reader.system.views.values()],
        "replicas": replicas,
        "command": reader.system.command("views"),
    }


def _replica(each: Any, now: Status | None, ends: dict[str, int]) -> dict[str, Any]:
    silent = "closed" if each.standing == "closed" else "silent"
    at = each.durable if now is None else now.frontier
    return {
        "view": each.view,
        "version": each.version,
        "replica": each.replica,
        "standing": silent if now is None else now.standing,
        "behind": sum(max(0, ends.get(name, 0) - last) for name, last in at.items()),
        "digest": "" if now is None else now.digest,
        "failure": "" if now is None else cut(now.failure),
        "said": each.time,
    }


async def view(reader: SystemReader, asked: Parameters) -> dict[str, Any]:
    """A view's value as of now, folded from the journals."""
    name = asked.text("view")
    known = reader.system.views.get(name)
    if known is None:
        raise Invalid(
            f"the code of a view {name!r:.80} is not known here: start the console with --module"
        )
    folded = await reader.fold(lambda: view_at(reader.source, known))
    lines, cut_off = state_text(plain_state(folded.value))
    return {
        "view": name,
        "version": known.version,
        "digest": folded.digest,
        "lines": lines,
        "cut": cut_off,
        "frontier": brief(folded.frontier.sequences),
        "command": reader.system.command("view", name, "get", code=True),
    }
