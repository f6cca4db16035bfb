"""Agents whose code kept the loop of another host: what the next owner makes of the marks.

While that host may yet come to an end of it, its agent waits here, and only that. When the host's
process was ended, what it ran is not run again: a command is parked; a query, and a fold, fail.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final

from moonlet.agents.deciding import PendingCommit, Rules
from moonlet.agents.services import HostServices
from moonlet.core.errors import MoonletError, Unavailable, Undecodable
from moonlet.core.ids import AgentId, partition_of
from moonlet.core.marks import reached
from moonlet.streams import Blocked
from moonlet.telemetry import get_logger

log = get_logger(__name__)

LOOK: Final = 0.5
"""Seconds between two looks at a mark of a handler that may still run."""

GRACE: Final = 3.0
"""Seconds over the limit after which a handler that no mark tells of any more is taken for gone."""


class BlockedAgents:
    """Those of one partition. `go_on` is called with the key of an agent that need not wait."""

    def __init__(
        self,
        services: HostServices,
        rules: Rules,
        spawn: "Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]]",
        go_on: Callable[[str], None],
    ) -> None:
        self._services = services
        self._rules = rules
        self._spawn = spawn
        self._go_on = go_on
        self._marks: dict[str, Blocked] = {}
        self.waiting: set[str] = set()
        """The keys of agents that wait for another host to be done with them."""

    def begin(self, marks: Mapping[AgentId, Blocked], number: int) -> None:
        """Take up the marks of the agents of this partition."""
        agent_type = self._rules.agent_type
        for id, mark in sorted(marks.items()):
            mine = id.type == agent_type.name and mark.agent == str(id)
            if mine and partition_of(id.key, agent_type.partitions) == number:
                self._take(id, mark)

    async def look(self, id: AgentId) -> bool:
        """Look for the agent's mark once more; whether it has to wait. Raises `Unavailable`."""
        mark = await self._services.blocked.get(id)
        if mark is not None and mark.agent == str(id):
            self._take(id, mark)
        return id.key in self.waiting

    def _take(self, id: AgentId, mark: Blocked) -> None:
        if mark.ended:
            self._judge(id, mark)
        elif id.key not in self.waiting:
            reached("an agent waits for a host that is blocked by it")
            log.warning("an agent waits for a blocked host", agent=str(id), host=mark.host)
            self.waiting.add(id.key)
            self._spawn(self._wait(id, mark), f"blocked {id}")

    def _judge(self, id: AgentId, mark: Blocked) -> None:
        """It ended its host's process: it is not run again."""
        told = f"{mark.kind} {mark.name}"
        self._services.alarm("a handler blocked its host", agent=str(id), ran=told, host=mark.host)
        if mark.kind == "command" and mark.place:
            self._rules.blocked.setdefault(mark.place, mark)
        else:
            self._marks[id.key] = mark

    async def _wait(self, id: AgentId, mark: Blocked) -> None:
        services = self._services
        until = services.bus.clock.monotonic() + max(0.0, mark.limit - mark.seconds) + GRACE
        found: Blocked | None = mark
        while found is not None and not found.ended:
            if services.bus.clock.monotonic() > until:
                reached("a blocked host is gone, and left its mark")
                await self._forget(id)
                break
            await asyncio.sleep(LOOK)
            try:
                found = await services.blocked.get(id)
            except MoonletError as error:
                log.info("a mark can't be read", agent=str(id), error=str(error))
        if found is not None and found.ended:
            self._judge(id, found)
        self.waiting.discard(id.key)
        self._go_on(id.key)

    # what is refused

    def check_query(self, id: AgentId, name: str) -> None:
        """Raise `Unavailable` for a query that ended a host's process."""
        mark = self._marks.get(id.key)
        if mark is not None and mark.kind == "query" and mark.name == name:
            raise Unavailable(
                f"{name} to {id} ran for over {mark.limit:g} s and ended its host's process: it is"
                f" not run again until the agent is started anew (`moonlet repair {id}`)"
            )

    def check_fold(self, id: AgentId) -> None:
        """Raise `Undecodable` for an agent whose folding ended a host's process."""
        mark = self._marks.get(id.key)
        if mark is not None and mark.kind == "fold":
            raise Undecodable(
                f"folding {id} ({mark.name}) ran for over {mark.limit:g} s and ended its host's"
                f" process: mend its on_event handlers, then `moonlet repair {id}`",
                type=id.type,
            )

    # what is over

    def committed(self, id: AgentId, pending: PendingCommit) -> None:
        """The commit that dealt with it has landed: its mark has no more to say."""
        if self._rules.blocked.pop(pending.queued.place, None) is not None:
            self._spawn(self._forget(id), f"unmark {id}")

    async def forgive(self, id: AgentId) -> None:
        """An operator starts the agent: what was refused is run again. Raises `Unavailable`."""
        if self._marks.pop(id.key, None) is not None:
            await self._services.blocked.delete(id)

    async def _forget(self, id: AgentId) -> None:
        try:
            await self._services.blocked.delete(id)
        except MoonletError as error:  # the command is recognised, so the mark says nothing
            log.info("a mark stays behind", agent=str(id), error=str(error))
