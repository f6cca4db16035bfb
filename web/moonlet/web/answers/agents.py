"""Agents: who there is, how many commits each has, and what keeps it."""

from typing import Any, Final

from moonlet.replay.waiting import waiting_agents
from moonlet.web.reading import Parameters, SystemReader

SHOWN_MAX: Final = 500
"""Agents in one answer."""


async def agents(reader: SystemReader, asked: Parameters) -> dict[str, Any]:
    """Agents whose name has `q`, sorted; with commits, and on a server what they wait for."""
    wanted = asked.text("q", "")
    counts = {str(agent): count for agent, count in (await reader.source.agents()).items()}
    bus = reader.system.bus
    waits = {} if bus is None else {str(a): c for a, c in (await waiting_agents(bus)).items()}
    names = sorted(name for name in {*counts, *waits} if wanted.lower() in name.lower())
    return {
        "agents": [
            {
                "agent": name,
                "commits": counts.get(name, 0),
                "known": name.partition("/")[0] in reader.system.types,
                **_keeps(waits.get(name, {})),
            }
            for name in names[:SHOWN_MAX]
        ],
        "more": max(0, len(names) - SHOWN_MAX),
        "command": reader.system.command("agents") if bus is not None else "",
    }


def _keeps(counts: Any) -> dict[str, int]:
    kinds = ("commands", "timers", "calls", "parked", "stopped", "blocked")
    return {kind: counts.get(kind, 0) for kind in kinds}
