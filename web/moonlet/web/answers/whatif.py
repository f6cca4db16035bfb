"""What if: the record run on without a command. In memory, and nothing of it is real."""

import asyncio
from typing import Any, Final

from moonlet.replay import AgentFork, Drop, commit_at, fork, read_record, resolve
from moonlet.web.reading import Parameters, SystemReader, brief, cut, row_of

CHANGES_MAX: Final = 20
"""Changes of one agent's state that are told."""

AGENTS_MAX: Final = 200
"""Agents that are told of."""


async def whatif(reader: SystemReader, asked: Parameters) -> dict[str, Any]:
    """What would have been had the command of a commit never come, by agent.

    Calls outside are answered from the record; `unanswered` are those that are not in it.
    """
    text = asked.text("point")
    point = await resolve(reader.source, text)
    dropped = await commit_at(reader.source, point)

    async def run() -> Any:
        record = await read_record(reader.source)
        edits = [Drop(dropped.agent, dropped.command.id)]
        made = await asyncio.to_thread(fork, record, reader.system.types, edits)
        return made

    made = await reader.fold(run)
    return {
        "real": False,
        "point": f"{dropped.agent}@{dropped.revision}",
        "dropped": row_of(dropped),
        "agents": [_agent(each) for each in made.agents[:AGENTS_MAX]],
        "more": max(0, len(made.agents) - AGENTS_MAX),
        "unanswered": [cut(call) for call in made.unanswered[:AGENTS_MAX]],
        "codeless": made.codeless,
        "failed": {agent: cut(why) for agent, why in made.failed.items()},
        "stopped": made.stopped,
        "command": reader.system.command("fork", "--drop", str(point), code=True),
    }


def _agent(each: AgentFork) -> dict[str, Any]:
    changes = [
        {"path": c.path, "kind": c.kind, "old": brief(c.old), "new": brief(c.new)}
        for c in each.state[:CHANGES_MAX]
    ]
    return {
        "agent": each.agent,
        "happened": each.happened,
        "forked": each.forked,
        "gone": len(each.gone),
        "new": len(each.new),
        "otherwise": len(each.otherwise),
        "first": row_of(each.first) if each.first is not None else None,
        "changes": changes,
        "more": max(0, len(each.state) - CHANGES_MAX),
    }
