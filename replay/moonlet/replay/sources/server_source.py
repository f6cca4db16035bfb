"""A server's journals, by a bus that is open."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from moonlet.core.ids import AgentId
from moonlet.replay.sources.source import JournalFacts
from moonlet.streams import (
    Bus,
    Journal,
    NoResponders,
    ServerRefused,
    Skips,
    StoredMessage,
    StreamGone,
    Subjects,
    Topology,
    last_message,
    next_message,
    read_messages,
    skips_of,
    stream_facts,
    subject_counts,
    with_record,
)


class ServerSource:
    """Reads what `bus` is connected to; opens and closes nothing."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    @property
    def description(self) -> str:
        """The server's address."""
        return self._bus.description

    @property
    def topology(self) -> Topology:
        """The bus's: what stands on the server under its prefix."""
        return self._bus.topology

    @property
    def subjects(self) -> Subjects:
        """The bus's map of subjects."""
        return self._bus.subjects

    def now_us(self) -> int:
        """This process's clock."""
        return self._bus.clock.now_us()

    async def journals(self) -> list[JournalFacts]:
        """Those that a host has made. Raises `Unavailable`."""
        found: list[JournalFacts] = []
        for stream in sorted(self.topology.journal_streams):
            facts = await stream_facts(self._bus, stream)
            if facts is not None:
                epoch = facts.incarnation.rpartition("/")[2]
                incarnation = f"{facts.created}/{epoch}"
                found.append(JournalFacts(stream, incarnation, facts.first, facts.last))
        return found

    async def messages(
        self, stream: str, subject: str = ">", *, start: int = 1
    ) -> AsyncGenerator[list[StoredMessage], None]:
        """Batches as the server gives them; ends where the journal ended when it was asked."""
        if subject == ">":
            subject = f"{self.subjects.prefix}.evt.>"
        try:
            async with aclosing(read_messages(self._bus, stream, subject, start=start)) as batches:
                async for batch in batches:
                    yield batch
        except (NoResponders, StreamGone):
            if await stream_facts(self._bus, stream) is not None:
                raise

    async def message(self, stream: str, sequence: int) -> StoredMessage | None:
        """As the leader has it."""
        subject = f"{self.subjects.prefix}.evt.>"
        found = await next_message(self._bus, stream, subject, start=sequence)
        if found is None or found.sequence != sequence:
            return None
        return await with_record(self._bus, stream, found)

    async def last(self, agent: AgentId) -> StoredMessage | None:
        """As the leader has it."""
        stream = self.topology.journal_of(agent.type)
        try:
            found = await last_message(self._bus, stream, self.subjects.journal(agent))
        except (NoResponders, StreamGone, ServerRefused):
            if await stream_facts(self._bus, stream) is not None:
                raise
            return None
        return await with_record(self._bus, stream, found) if found is not None else None

    async def agents(self) -> dict[AgentId, int]:
        """As the server counts subjects."""
        found: dict[AgentId, int] = {}
        for facts in await self.journals():
            for subject, count in (await subject_counts(self._bus, facts.stream)).items():
                agent = self.subjects.journal_agent(subject)
                if agent is not None:
                    found[agent] = count
        return dict(sorted(found.items()))

    async def skips(self, agent: AgentId) -> Skips:
        """Read from the agent's last commit."""
        return await skips_of(Journal(self._bus, self.topology.journal_of(agent.type)), agent)
