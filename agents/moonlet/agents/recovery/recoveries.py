"""All recoveries of one host: only so many at once, the rest by lane and age.

Each costs the server much where the journal is long, so what is read at once is bounded, and what
failed is read again no faster than others have their turn.
"""

from collections.abc import Callable
from typing import Any, Final

from moonlet.agents.definition import AgentType
from moonlet.agents.recovery.look import begin, look
from moonlet.agents.recovery.tail import Recovered, Tail
from moonlet.agents.recovery.tail_reads import TailReads
from moonlet.agents.recovery.turns import Turns
from moonlet.agents.services import HostServices, Tasks
from moonlet.core.errors import MoonletError
from moonlet.core.ids import AgentId
from moonlet.core.marks import buggify, reached

LOOKS: Final = 32
"""Agents whose last commit and snapshot are asked for at once."""


class Recoveries:
    """Made by a host; its partitions' agents are recovered through it.

    `is_cold` says whether an agent is this host's, and its state not in memory. `on_death` is told
    of a bug.
    """

    def __init__(
        self,
        services: HostServices,
        is_cold: Callable[[AgentId], bool],
        on_death: Callable[[BaseException], None],
    ) -> None:
        self._services = services
        self._is_cold = is_cold
        self._tasks = Tasks(on_death)
        self._looks = Turns(2 if buggify("only two agents are looked at at once") else LOOKS)
        self._reads = TailReads(
            services, self._tasks.spawn, self._may_be_asked_for, lambda: self._looks.busy
        )

    async def close(self) -> None:
        """Read nothing more."""
        self._reads.close()
        await self._tasks.close()

    def _may_be_asked_for(self, subject: str) -> bool:
        agent = self._services.bus.subjects.journal_agent(subject)
        return agent is not None and self._is_cold(agent)

    async def recover(
        self, agent_type: AgentType[Any], agent: AgentId, urgency: Callable[[], int]
    ) -> Recovered:
        """The agent as its journal says. Raises `Undecodable`, `Corrupt`, `Unavailable`.

        `urgency` is the highest lane in which something waits for it, 0 for critical.
        """
        ends = self._services.ends
        while True:
            reconnects = ends.reconnects
            recovered = await self._recover(agent_type, agent, urgency)
            if ends.reconnects == reconnects:
                return recovered
            # What was at hand of the last commit may be older than what the server has now.
            reached("the server was away while an agent was recovered")

    async def _recover(
        self, agent_type: AgentType[Any], agent: AgentId, urgency: Callable[[], int]
    ) -> Recovered:
        try:
            async with self._looks.turn(urgency()):
                found = await look(self._services, agent_type, agent)
                if isinstance(found, Tail) and not self._reads.keeps(found):
                    await begin(self._services, found)
        finally:
            self._reads.look_again()
        if not isinstance(found, Tail):
            return Recovered(found, [])
        await self._reads.read(found, urgency)
        recovered = found.finish()
        return await self._not_out(agent, recovered) if recovered.redo else recovered

    async def _not_out(self, agent: AgentId, recovered: Recovered) -> Recovered:
        """Without what was out when the agent came to rest, if that was noted then.

        Where the note can't be read it goes out once more: receivers know what they had.
        """
        fold = recovered.fold
        try:
            noted = await self._services.snapshots.dispatched(agent)
        except MoonletError:
            return recovered
        if noted is None or (noted.revision, noted.digest) != (fold.revision, fold.digest):
            return recovered
        reached("effects were out when an agent came to rest")
        fold.dispatched = fold.revision
        return recovered._replace(redo=[])
