"""Agents of a partition whose state is to be looked at again, or is not believed any more."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Final

from moonlet.agents.live import LiveAgent, Phase
from moonlet.agents.services import HostServices
from moonlet.core.ids import AgentId

UNPROVED_MAX: Final = 1_024
"""Agents from snapshots that are remembered for a second look; of others some are met by chance."""

READ_AGAIN_MAX: Final = 16
"""Agents of a partition that are read again since a handler changed their state in place."""

DROP_TRIES, DROP_PAUSE = 600, 0.05
"""How often, and in seconds how soon again, it is seen whether an agent has nothing in flight."""

Spawn = Callable[[Coroutine[None, None, None], str], "asyncio.Task[None]"]


class DoubtfulAgents:
    """Of the `agents` of one partition; what it spawns ends with that."""

    def __init__(
        self, services: HostServices, name: str, agents: Mapping[str, LiveAgent], spawn: Spawn
    ) -> None:
        self._services = services
        self._name = name
        self._agents = agents
        self._spawn = spawn
        self._read = 0
        self._unproved: dict[str, None] = {}

    def unproved(self, agent: LiveAgent) -> None:
        """It came from a snapshot, which nobody has held against its journal."""
        if len(self._unproved) < UNPROVED_MAX:
            self._unproved[agent.id.key] = None

    def next(self) -> LiveAgent | None:
        """One that was not looked at since it came from a snapshot."""
        while self._unproved:
            agent = self._agents.get(self._unproved.popitem()[0])
            if agent is not None and agent.fold is not None:
                return agent
        return None

    def changed_in_place(self, agent: str, handlers: str) -> None:
        """A handler changed a state in memory: nothing else shows it as its commits have it."""
        self._services.alarm_once(
            "a state was changed in place",
            f"{self._name} {handlers}",
            agent=agent,
            handlers=handlers,
            so="a handler returns a new state and leaves the old one: see docs/operations.md",
        )
        if self._read < READ_AGAIN_MAX:  # it will be so again
            self._read += 1
            self.read_again(AgentId.parse(agent).key)

    def read_again(self, key: str) -> None:
        """What is in memory of that agent is not believed: drop it when nothing is in flight."""

        async def drop() -> None:
            for _ in range(DROP_TRIES):
                agent = self._agents.get(key)
                if agent is None or agent.fold is None:
                    return
                if agent.phase in (Phase.RUNNING, Phase.BLOCKED):
                    agent.forget()
                    agent.wake()
                    return
                await asyncio.sleep(DROP_PAUSE)

        self._spawn(drop(), f"read {self._name} {key} again")
