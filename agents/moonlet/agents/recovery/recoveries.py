"""All recoveries of one host: only so many at once, the rest by lane and age.

Each costs the server much where the journal is long, so what is read at once is bounded, and what
failed is read again no faster than others have their turn.
"""

from collections.abc import Callable
from contextlib import aclosing
from typing import Any, Final

from moonlet.agents.definition import AgentType
from moonlet.agents.recovery.look import look
from moonlet.agents.recovery.pace import Pace
from moonlet.agents.recovery.tail import Recovered, Tail
from moonlet.agents.recovery.turns import Turns
from moonlet.agents.services import HostServices
from moonlet.core.ids import AgentId

LOOKS: Final = 32
"""Agents whose last commit and snapshot are asked for at once."""

READS: Final = 16
"""Agents whose tails are read at once, each by itself."""

DIRECT_SPAN: Final = 20_000
"""Messages of the journal over which a tail is read by direct get: the server does it in the
connection's own turn, at about a microsecond a message, and all else of this host waits."""


class Recoveries:
    """Made by a host; its partitions' agents are recovered through it."""

    def __init__(self, services: HostServices) -> None:
        self._services = services
        self._looks = Turns(LOOKS)
        self._reads = Turns(READS)

    async def recover(
        self, agent_type: AgentType[Any], agent: AgentId, urgency: Callable[[], int]
    ) -> Recovered:
        """The agent as its journal says. Raises `Undecodable`, `Corrupt`, `Unavailable`.

        `urgency` is the highest lane in which something waits for it, 0 for critical.
        """
        async with self._looks.turn(urgency()):
            found = await look(self._services, agent_type, agent)
        if not isinstance(found, Tail):
            return Recovered(found, [])
        if not found.is_short():
            async with self._reads.turn(urgency()):
                await self._read(found)
        return await found.finish(self._services)

    async def _read(self, tail: Tail) -> None:
        services = self._services
        clock = services.bus.clock
        pace = Pace(clock)
        messages = services.journal(tail.stream).messages(
            tail.agent, start=tail.start, wide=tail.span > DIRECT_SPAN
        )
        async with aclosing(messages) as batches:
            async for batch in batches:
                pace.begin()
                for message in batch:
                    if not tail.take(message):
                        break
                    if pace.due():
                        await pace.rest()
                pace.end()
        tail.seconds = pace.seconds
