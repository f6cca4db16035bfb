"""A conversation in Chrome's trace format, which Perfetto and chrome://tracing open.

Google, "Trace Event Format": complete events (`X`) in µs, flows (`s`, `f`) from cause to effect.
"""

from collections.abc import Sequence
from typing import Any

from moonlet.core.commit import Commit
from moonlet.replay.causes.cause import cause_of


def chrome_trace(commits: Sequence[Commit[Any]]) -> dict[str, Any]:
    """The trace as plain data: a thread per agent, an event per commit, a flow per cause.

    A commit has no length that is recorded; it is drawn as 1 µs.
    """
    agents = {agent: n for n, agent in enumerate(dict.fromkeys(c.agent for c in commits), 1)}
    known = {(commit.agent, commit.revision): commit for commit in commits}
    events: list[dict[str, Any]] = [
        {"ph": "M", "name": "thread_name", "pid": 1, "tid": tid, "args": {"name": agent}}
        for agent, tid in agents.items()
    ]
    for number, commit in enumerate(commits, 1):
        here = {"pid": 1, "tid": agents[commit.agent], "ts": commit.wall_us}
        events.append(
            {
                "ph": "X",
                "name": commit.command.name,
                "cat": commit.outcome,
                "dur": 1,
                **here,
                "args": {
                    "commit": f"{commit.agent}@{commit.revision}",
                    "command": commit.command.id,
                    "reason": commit.reason,
                    "events": [event.name for event in commit.events],
                },
            }
        )
        cause = cause_of(commit)
        origin = known.get((cause.agent, cause.revision)) if cause is not None else None
        if cause is not None and origin is not None:
            flow = {"cat": cause.kind, "name": cause.kind, "id": number}
            start = {"pid": 1, "tid": agents[origin.agent], "ts": origin.wall_us}
            events.append({"ph": "s", **flow, **start})
            events.append({"ph": "f", "bp": "e", **flow, **here})
    return {"traceEvents": events, "displayTimeUnit": "ms"}
