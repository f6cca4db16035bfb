"""`waiting`: what an agent waits for now, or who waits for anything."""

from datetime import UTC, datetime
from typing import Annotated

import msgspec
import typer

from moonlet.console.common import Options, command, counted, opened, table
from moonlet.core.ids import AgentId
from moonlet.replay.waiting import WaitsFor, waiting_agents, waiting_of
from moonlet.streams import Bus

COLUMNS = ("commands", "timers", "calls", "parked", "stopped", "blocked")


@command
async def waiting(
    options: Options,
    agent: Annotated[
        str | None, typer.Argument(help="type/key, like account/alice", metavar="[AGENT]")
    ] = None,
) -> None:
    """Say what an agent waits for: commands by lane, timers, calls, parked ones, what stops it.

    Without AGENT: who has anything. Asks the server alone, so no host need run.
    """
    async with opened(options) as session:
        bus = session.moon.bus
        if agent is None:
            await _everyone(options, bus)
            return
        found = await waiting_of(bus, AgentId.parse(agent))
        now = bus.clock.now_us()
    record = {**msgspec.to_builtins(found), "nothing": found.nothing}
    options.output.result(record, "\n".join(_lines(found, now)))


async def _everyone(options: Options, bus: Bus) -> None:
    found = await waiting_agents(bus)
    rows = [("AGENT", *(name.upper() for name in COLUMNS))]
    rows += [
        (str(agent), *(f"{counts[name] or '':,}" if counts[name] else "" for name in COLUMNS))
        for agent, counts in found.items()
    ]
    lines = table(rows, right=tuple(range(1, len(rows[0]))))
    if found and not options.output.json:
        options.output.result({}, lines[0])
    for (agent, counts), line in zip(found.items(), lines[1:], strict=True):
        options.output.result({"agent": str(agent), **{n: counts[n] for n in COLUMNS}}, line)
    if not found:
        options.output.remark("nobody waits for anything")


def _lines(found: WaitsFor, now: int) -> list[str]:
    lines = [f"{found.agent} at revision {found.revision}"]
    for queue in found.queues:
        who = "from outside" if queue.outside else "of agents"
        told = f"{counted(queue.commands, 'command')} {who}, the oldest for {queue.oldest:.1f} s"
        lines.append(f"  {queue.lane:<8}  {told}")
    for id, since in found.calls.items():
        lines.append(f"  call      {id}, for {(now - since) / 1_000_000:.1f} s")
    for name, due in found.timers.items():
        moment = datetime.fromtimestamp(due / 1_000_000, UTC).isoformat(timespec="seconds")
        left = (due - now) / 1_000_000
        how = f"in {left:.1f} s" if left > 0 else f"{-left:.1f} s ago"
        lines.append(f"  timer     {name}, due {how}, at {moment}")
    if found.undispatched:
        shown = ", ".join(f"@{revision}" for revision in found.undispatched[-5:])
        lines.append(f"  effects   of {shown} are not all out")
    if found.parked:
        lines.append(f"  parked    {', '.join(map(str, found.parked))}: see `moonlet parked list`")
    if found.stopped:
        lines.append("  stopped   by somebody: its commands wait until it is started")
    if found.blocked is not None:
        mark = found.blocked
        lines.append(
            f"  blocked   its {mark.kind} {mark.name} kept a host for {mark.seconds:.1f} s"
        )
    if len(lines) == 1:
        lines.append("  waits for nothing")
    return lines
