"""`verify`: are the histories whole, and does the code decide them again as it did?"""

import asyncio
from contextlib import aclosing
from typing import Annotated

import msgspec
import typer

from moonlet.agents import HistoryFault, Verification
from moonlet.console.common import (
    Advance,
    ExitCode,
    Modules,
    Options,
    Output,
    command,
    counted,
    find,
    opened,
    progress,
)
from moonlet.core.errors import Corrupt, Invalid, Unavailable
from moonlet.core.ids import AgentId
from moonlet.streams import (
    Bus,
    Journal,
    Skips,
    Snapshot,
    Snapshots,
    StoredMessage,
    StreamFacts,
    read_messages,
    skips_of,
    stored_message,
    stream_facts,
    subject_counts,
)


@command
async def verify(
    options: Options,
    agent: Annotated[
        str | None, typer.Argument(help="One agent only, like account/alice.", metavar="AGENT")
    ] = None,
    module: Modules = None,
) -> int:
    """Check histories: chains, revisions, digests; and decide every command again.

    Names agent, revision and event of each agent's first fault, and then ends with 1. Without an
    agent type's code only the chains of its agents are checked.
    """
    target = AgentId.parse(agent) if agent is not None else None
    types = find(module)
    verification = Verification(types)
    faults: list[HistoryFault] = []
    async with opened(options) as session:
        bus = session.moon.bus
        streams = bus.topology.journal_streams
        if target is not None:
            streams = [bus.topology.journal_of(target.type)]
        with progress(options.output, "verifying", "commits") as advance:
            for stream in streams:
                faults += await JournalCheck(bus, stream, verification, advance).run(target)
    faults += verification.finish()
    if target is not None and not verification.commits and not faults:
        raise Invalid(f"{agent} has no commits: `moonlet agents` lists those that have")
    _tell(options.output, verification, faults)
    return ExitCode.FOUND if faults else ExitCode.OK


class JournalCheck:
    """One journal stream, read from its beginning to its end as of now."""

    def __init__(self, bus: Bus, stream: str, verification: Verification, advance: Advance) -> None:
        self._bus = bus
        self._stream = stream
        self._verification = verification
        self._advance = advance

    async def run(self, target: AgentId | None) -> list[HistoryFault]:
        """The faults found on the way."""
        bus, stream = self._bus, self._stream
        facts = await stream_facts(bus, stream)
        if facts is None:
            return []
        faults = [] if target is not None else _holes(facts)
        self._incarnation, self._last = facts.incarnation, facts.last
        subject = bus.subjects.journal(target) if target is not None else ">"
        total = facts.messages
        if target is not None:
            total = sum((await subject_counts(bus, stream, subject)).values())
        done = 0
        self._advance(done, total)
        try:
            async with aclosing(read_messages(bus, stream, subject)) as batches:
                async for batch in batches:
                    faults += await self._take(batch)
                    done += len(batch)
                    self._advance(done, max(done, total))
        except Corrupt as error:
            faults.append(await self._unreadable(error))
            return faults
        if done < total:
            raise Unavailable(
                f"{stream} held {total:,} commits when this began, and {done:,} could be read: a"
                " server that answers is not up to date; verify again"
            )
        return faults

    async def _take(self, batch: list[StoredMessage]) -> list[HistoryFault]:
        agents = [self._bus.subjects.journal_agent(message.subject) for message in batch]
        fresh = {agent for agent in agents if agent and not self._verification.knows(agent)}
        for agent, snapshot, skips in await asyncio.gather(*(self._meet(a) for a in sorted(fresh))):
            self._verification.meet(agent, self._stream, snapshot, skips)
        found = []
        for agent_or_none, message in zip(agents, batch, strict=True):
            fault = self._verification.take(agent_or_none, message)
            if fault is not None:
                found.append(fault)
        return found

    async def _meet(self, agent: AgentId) -> tuple[AgentId, Snapshot | None, Skips]:
        """The agent's snapshot, if it is of this journal and not of one that was here before.

        One that was taken since this began may tell of commits that are not read any more. Also
        what the agent's repairs leave out.
        """
        snapshot = await Snapshots(self._bus).load(agent)
        skips = await skips_of(Journal(self._bus, self._stream), agent)
        if snapshot is None or snapshot.incarnation != self._incarnation:
            return agent, None, skips
        return agent, snapshot if snapshot.sequence <= self._last else None, skips

    async def _unreadable(self, error: Corrupt) -> HistoryFault:
        """An outcome that stands apart and is gone: what follows in this stream was not read."""
        message = await stored_message(self._bus, self._stream, error.sequence)
        agent = self._bus.subjects.journal_agent(message.subject) if message is not None else None
        what = f"{error}; nothing behind it was read"
        return HistoryFault(str(agent or ""), 0, error.sequence, "corrupt", what)


def _holes(facts: StreamFacts) -> list[HistoryFault]:
    """Messages that were deleted or purged, though a journal forbids both."""
    found = []
    stream, deleted, first = facts.name, facts.deleted, facts.first
    if deleted:
        what = f"{deleted} messages were deleted from {stream}: restore it from a backup"
        found.append(HistoryFault("", 0, 0, "chain", what))
    if first > 1:
        what = f"{stream} begins at sequence {first}: what came before was purged; restore it"
        found.append(HistoryFault("", 0, first, "chain", what))
    return found


def _tell(output: Output, verification: Verification, faults: list[HistoryFault]) -> None:
    for fault in faults:
        output.result({"fault": msgspec.to_builtins(fault)}, _in_words(fault))
    count, agents = verification.commits, len(verification.agents)
    record = {
        "agents": agents,
        "commits": count,
        "decided": verification.decided,
        "mended": verification.mended,
        "changed": verification.changed,
        "foreign": verification.foreign,
        "codeless": verification.codeless,
        "repaired": verification.repaired,
        "faults": len(faults),
    }
    verdict = typer.style("all is well", fg="green", bold=True)
    if faults:
        verdict = typer.style(counted(len(faults), "fault"), fg="red", bold=True)
    again = counted(verification.decided, "command")
    lines = [
        f"{counted(agents, 'agent')}, {counted(count, 'commit')}; {again} decided again with the"
        f" same outcome: {verdict}"
    ]
    if verification.mended:
        parked = counted(verification.mended, "parked command")
        lines.append(f"{parked} would no longer fail")
    if verification.changed:
        changed = counted(verification.changed, "command")
        lines.append(f"{changed} of other versions would be decided otherwise today: deploys")
    if verification.repaired:
        left = counted(len(verification.repaired), "agent")
        lines.append(f"{left} read as repaired: see `moonlet history`")
    if verification.codeless:
        lines.append(
            f"of {', '.join(verification.codeless)} only the chains were checked: name the code"
            " with --module"
        )
    output.result(record, "\n".join(lines))


def _in_words(fault: HistoryFault) -> str:
    place = f"{fault.agent} revision {fault.revision}" if fault.agent else "the journal"
    event = f", event {fault.event}" if fault.event else ""
    at = f" (sequence {fault.sequence})" if fault.sequence else ""
    head = typer.style(f"{fault.kind}: {place}{event}{at}", fg="red")
    return f"{head}\n    {fault.message}"
