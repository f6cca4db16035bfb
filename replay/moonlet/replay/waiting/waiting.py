"""One agent's open ends, from its journal and from what the streams hold of it now.

Nobody is asked but the server, so it works without any host; what stands in a host's memory alone
it does not see.
"""

from collections import Counter
from typing import Any

import msgspec

from moonlet.agents.deciding import fold_message
from moonlet.agents.effects import COMMITS_MAX
from moonlet.core.commit import Commit
from moonlet.core.fold import Fold
from moonlet.core.ids import LANES, AgentId
from moonlet.core.memory import NOTHING_KEPT
from moonlet.replay.causes import cause_of
from moonlet.replay.sources import ServerSource, commits_of, messages_of
from moonlet.streams import (
    Blocked,
    BlockedMarks,
    Bus,
    Registry,
    next_message,
    read_parked,
    stored_message,
    stream_facts,
    subject_counts,
)


class Queue(msgspec.Struct, frozen=True):
    """Commands in a lane: from `outside` or of agents; how long the oldest has waited, in seconds.

    `name` and `id` are the oldest's.
    """

    lane: str
    outside: bool
    commands: int
    oldest: float


class WaitsFor(msgspec.Struct, frozen=True):
    """What an agent waits for. Times are µs since 1970.

    `calls`: id → when it was made. `timers`: name → when it is due. `undispatched`: revisions of
    the last 64 whose effects are not all out: their commands are not acknowledged. `parked`:
    messages, by their sequences.
    """

    agent: str
    revision: int
    queues: list[Queue]
    calls: dict[str, int]
    timers: dict[str, int]
    undispatched: list[int]
    parked: list[int]
    stopped: bool
    blocked: Blocked | None

    @property
    def nothing(self) -> bool:
        """Whether there is nothing that it waits for."""
        return not (
            self.queues or self.calls or self.timers or self.parked or self.stopped or self.blocked
        )


async def waiting_of(bus: Bus, agent: AgentId) -> WaitsFor:
    """What one agent waits for. Reads its journal. Raises as reading does."""
    source = ServerSource(bus)
    stream = source.topology.journal_of(agent.type)
    fold: Fold[Any] = Fold(None)
    fold.past = NOTHING_KEPT
    skips = await source.skips(agent)
    async for message in messages_of(source, agent):
        fold_message(None, stream, fold, message, skips)
    calls, timers, undispatched = {}, {}, []
    open_at = {where.revision for where in (*fold.calls.values(), *fold.timers.values())}
    first = min([*open_at, fold.dispatched + 1], default=1)
    async for commit in commits_of(source, agent, max(1, first)):
        recent = commit.revision > max(fold.dispatched, fold.revision - COMMITS_MAX)
        if recent and commit.effects and await _is_unacknowledged(bus, commit):
            undispatched.append(commit.revision)
        for id, where in fold.calls.items():
            if where.revision == commit.revision:
                calls[id] = commit.wall_us
        for name, where in fold.timers.items():
            if where.revision == commit.revision:
                timers[name] = commit.effects[where.index].due
    return WaitsFor(
        str(agent),
        fold.revision,
        await _queues(bus, agent),
        calls,
        timers,
        undispatched,
        [message.sequence for message in await read_parked(bus, agent)],
        agent in await Registry(bus).stopped(agent.type),
        await BlockedMarks(bus).get(agent),
    )


async def waiting_agents(bus: Bus) -> dict[AgentId, Counter[str]]:
    """Who has anything in a queue, a timer, a call, parked, or is stopped or blocked: how much.

    Sorted by agent. Only subjects are counted: no journal is read.
    """
    found: dict[AgentId, Counter[str]] = {}
    heads = {"cmd": "commands", "in": "commands", "call": "calls", "timer": "timers"}
    heads |= {"fire": "timers", "parked": "parked"}
    for name in ("mailboxes", "internal", "timers", "parked"):
        stream = bus.topology.stream(name)
        if await stream_facts(bus, stream) is None:
            continue
        for subject, count in (await subject_counts(bus, stream)).items():
            agent = bus.subjects.agent(subject)
            kind = heads.get(subject[len(bus.subjects.prefix) + 1 :].partition(".")[0])
            if agent is not None and kind is not None:
                found.setdefault(agent, Counter())[kind] += count
    if await stream_facts(bus, bus.topology.bucket("registry")) is not None:
        for agent in await Registry(bus).stopped():
            found.setdefault(agent, Counter())["stopped"] = 1
        for agent in await BlockedMarks(bus).all():
            found.setdefault(agent, Counter())["blocked"] = 1
    return dict(sorted(found.items()))


async def _is_unacknowledged(bus: Bus, commit: Commit[Any]) -> bool:
    """Whether the command still stands in its queue; it leaves when its effects are out."""
    cause = cause_of(commit)
    kind = "mailboxes" if cause is None else "timers" if cause.kind == "timer" else "internal"
    stored = await stored_message(bus, bus.topology.stream(kind), commit.command.sequence)
    return stored is not None and bus.subjects.agent(stored.subject) == AgentId.parse(commit.agent)


async def _queues(bus: Bus, agent: AgentId) -> list[Queue]:
    """The lanes in which something waits, the highest first."""
    home = await Registry(bus).home(agent.type)
    now = bus.clock.now_us()
    found: list[Queue] = []
    for lane in LANES:
        for outside in (True, False):
            subjects = bus.subjects
            subject = (subjects.mailbox if outside else subjects.internal)(agent, lane, home)
            stream = bus.topology.stream("mailboxes" if outside else "internal")
            if await stream_facts(bus, stream) is None:
                continue
            count = (await subject_counts(bus, stream, subject)).get(subject, 0)
            oldest = await next_message(bus, stream, subject, start=1) if count else None
            if oldest is not None:
                age = max(0.0, (now - oldest.time // 1_000) / 1_000_000)
                found.append(Queue(lane, outside, count, age))
    return found
