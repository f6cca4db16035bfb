"""Looking up what left an agent's memory, so that its next command can be judged."""

import asyncio
from collections.abc import Callable, Coroutine

from moonlet.agents.deciding import LookUp
from moonlet.agents.live import LiveAgent
from moonlet.agents.recovery import PastKeeper
from moonlet.core.errors import MoonletError
from moonlet.streams import Bus
from moonlet.telemetry import get_logger

log = get_logger(__name__)

Spawn = Callable[[Coroutine[None, None, None], str], "asyncio.Task[None]"]


class LookUps:
    """The look-ups of one partition's agents; they end with the partition."""

    def __init__(self, bus: Bus, keeper: PastKeeper, spawn: Spawn) -> None:
        self._bus = bus
        self._keeper = keeper
        self._spawn = spawn

    def begin(self, agent: LiveAgent, wanted: LookUp) -> None:
        """Fetch what is wanted, however long that takes, then have the agent go on."""
        self._spawn(self._look(agent, wanted), f"look up for {agent.id}")

    async def _look(self, agent: LiveAgent, wanted: LookUp) -> None:
        fold = agent.fold
        attempt = 0
        while fold is not None and agent.fold is fold:
            attempt += 1
            try:
                if await self.fetch(agent, wanted):
                    break
            except MoonletError as error:
                log.info("a look-up waits", agent=str(agent.id), error=str(error))
            await self._bus.backoff(attempt)
        agent.looked_up()

    async def fetch(self, agent: LiveAgent, wanted: LookUp) -> bool:
        """Have the agent's fold recall it; False if it has to be asked again. Raises as a read."""
        fold = agent.fold
        if fold is None:
            return False
        if await self._keeper.look_up(agent.id, fold, wanted.keys):
            return True
        agent.lose_past(fold)
        return False
