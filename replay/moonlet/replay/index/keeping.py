"""Folding long histories once, so that each of their states is near from then on."""

from collections.abc import Mapping
from typing import Any

from sqlite_utils import Database

from moonlet.agents import AgentType
from moonlet.core.errors import Corrupt, InvalidId, Undecodable
from moonlet.core.ids import AgentId
from moonlet.replay.index.keyframes import IndexKeyframes
from moonlet.replay.sources import HistorySource, Progress
from moonlet.replay.states import SEGMENT, Timeline


async def keep_states(
    database: Database,
    source: HistorySource,
    types: Mapping[str, AgentType[Any]],
    progress: Progress = lambda done, total: None,
) -> dict[str, str]:
    """Keep states of all agents that are indexed, whose code is known, and that have many commits.

    Returns the agents that can't be folded to their end, with the reason; they are kept as far as
    that goes. What is killed on the way is gone on with. Raises as reading does.
    """
    rows = database.execute(
        "SELECT a.name, max(c.revision) FROM commits c JOIN names a ON a.number = c.agent"
        " GROUP BY c.agent HAVING max(c.revision) >= ? ORDER BY a.name",
        [SEGMENT],
    ).fetchall()
    long = [(agent, last) for agent, last in rows if agent.partition("/")[0] in types]
    total, before = sum(last for _, last in long), 0
    failed: dict[str, str] = {}
    for name, last in long:

        def advance(done: int, _: int, before: int = before) -> None:
            progress(before + done, max(total, before + done))

        try:
            agent = AgentId.parse(name)
            kept = IndexKeyframes(database)
            timeline = await Timeline.open(source, types[agent.type], agent, kept, advance)
            await timeline.at(timeline.last)
        except (Undecodable, Corrupt, InvalidId) as error:
            failed[name] = str(error)
        before += last
    return failed
