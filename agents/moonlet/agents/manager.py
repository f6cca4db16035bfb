"""The manager: starts, stops, restarts and watches agents, and says how they are."""

import asyncio
from typing import Any, Final, Literal

import msgspec

from moonlet.agents.client import Client, Receipt
from moonlet.agents.definition import AgentType
from moonlet.agents.hosting import Host
from moonlet.core.errors import InvalidSettings, MoonletError, UnknownAgentType
from moonlet.core.ids import AgentId
from moonlet.telemetry import get_logger

log = get_logger(__name__)

Health = Literal["healthy", "degraded", "unhealthy"]

STATUS_TIMEOUT: Final = 2.0
"""Seconds that an agent's owner has to say how it is."""

WATCHED_MAX: Final = 10_000
"""Agents that one manager watches."""


class AgentStatus(msgspec.Struct, frozen=True):
    """How one agent is. `status` is passive, running, recovering, stopped, broken or unknown.

    `queued` are commands in memory, `held` those whose place alone is. `last_heartbeat` is in
    microseconds since 1970 (0: none yet), `restarts` counts attempts of the restart policy.
    """

    agent: str
    status: str
    health: Health
    reason: str = ""
    revision: int | None = None
    queued: int = 0
    held: int = 0
    restarts: int = 0
    last_heartbeat: int = 0


class SystemStatus(msgspec.Struct, frozen=True):
    """How this manager's host and the agents it watches are; the worst of them decides."""

    health: Health
    reason: str
    host: str
    types: list[str]
    partitions: int
    in_memory: int
    agents: list[AgentStatus]


class AgentManager:
    """Runs a host for the registered types, and watches the agents that were started through it.

    `heartbeat` (seconds) is how often they are looked at. One that broke is restarted up to
    `restarts` times, `restart_delay` seconds after the first look, doubling with each attempt.
    """

    def __init__(
        self,
        moon: Client,
        *,
        heartbeat: float = 30.0,
        restarts: int = 3,
        restart_delay: float = 5.0,
        lease: int = 5,
    ) -> None:
        if heartbeat <= 0 or restarts < 0 or restart_delay < 0:
            raise InvalidSettings(
                f"heartbeat={heartbeat}, restarts={restarts}, restart_delay={restart_delay}: the"
                " heartbeat must be positive, the others not negative"
            )
        self._moon = moon
        self._heartbeat = heartbeat
        self._restarts = restarts
        self._restart_delay = restart_delay
        self._lease = lease
        self._host: Host | None = None
        self._watched: dict[str, AgentStatus] = {}
        self._due: dict[str, float] = {}
        self._watch: asyncio.Task[None] | None = None

    async def register_agent(self, agent_type: AgentType[Any]) -> None:
        """Run agents of this type here from now on; raises `InvalidAgentType`."""
        if self._host is None:
            host = Host(self._moon, [agent_type], lease=self._lease)
            await host.start()
            self._host = host
            self._watch = asyncio.get_running_loop().create_task(
                self._beat_for_ever(), name="manager heartbeat"
            )
        else:
            await self._host.add(agent_type)

    async def start_agent(self, id: str) -> None:
        """Let the agent take commands, and watch it; one that runs goes on."""
        agent = str(AgentId.parse(id))
        if agent not in self._watched and len(self._watched) >= WATCHED_MAX:
            raise InvalidSettings(f"a manager watches {WATCHED_MAX} agents at most")
        await self._moon.order(agent, "start")
        self._watched[agent] = AgentStatus(agent, "passive", "healthy")
        await self._look_at(agent)

    async def stop_agent(self, id: str) -> None:
        """Let it finish what is in flight, and refuse until it is started, on any host.

        Commands wait in its mailbox meanwhile; queries get `Unavailable`.
        """
        await self._moon.order(str(AgentId.parse(id)), "stop")
        if id in self._watched:
            await self._look_at(id)

    async def restart_agent(self, id: str) -> None:
        """Stop, then start: its state is read from the journal again."""
        await self.stop_agent(id)
        await self.start_agent(id)

    async def send_message(self, id: str, command: Any) -> Receipt:
        """Store a command in its mailbox."""
        return await self._moon.tell(id, command)

    async def status(self, id: str | None = None) -> AgentStatus | SystemStatus:
        """How one agent is, looked at now; or the whole, as of the last heartbeat."""
        if id is not None:
            agent = str(AgentId.parse(id))
            return await self._ask_status(agent)
        host = self._host
        agents = [self._watched[agent] for agent in sorted(self._watched)]
        health, reason = self._host_health(host)
        for status in agents:
            if _RANK[status.health] > _RANK[health]:
                health, reason = status.health, f"{status.agent}: {status.reason}"
        return SystemStatus(
            health,
            reason,
            host.id if host is not None else "",
            sorted(host.types) if host is not None else [],
            len(host.partitions) if host is not None else 0,
            host.agents if host is not None else 0,
            agents,
        )

    async def shutdown(self) -> None:
        """Stop watching, and hand over what the host owns. Twice is harmless."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
            self._watch = None
        if self._host is not None:
            host, self._host = self._host, None
            await host.stop()

    def _host_health(self, host: Host | None) -> tuple[Health, str]:
        if host is None:
            return "unhealthy", "no agent type is registered: call register_agent"
        if host.failure is not None:
            return "unhealthy", f"a background task died: {host.failure!r}"
        if not host.lease_holds:
            return "degraded", "the lease can't be renewed: the server may be away"
        if host.services.alarms:
            return "degraded", ", ".join(sorted(host.services.alarms))
        return "healthy", ""

    async def _beat_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self._heartbeat)
            for agent in list(self._watched):
                await self._look_at(agent)
            await self._say_how_we_are()

    async def _say_how_we_are(self) -> None:
        """Publish the status for whoever listens; nobody has to."""
        bus = self._moon.bus
        status = await self.status()
        assert isinstance(status, SystemStatus)
        try:
            bus.post(f"{bus.topology.prefix}.heartbeat.{status.host}", msgspec.json.encode(status))
        except MoonletError as error:
            log.info("a heartbeat was not sent", error=str(error))

    async def _look_at(self, agent: str) -> None:
        status = await self._ask_status(agent)
        restarts = self._watched[agent].restarts
        now = self._moon.bus.clock.monotonic()
        if status.status != "broken":
            self._due.pop(agent, None)
            restarts = 0 if status.health == "healthy" else restarts
        elif restarts < self._restarts:
            due = self._due.setdefault(agent, now + self._restart_delay * 2**restarts)
            if now >= due:
                del self._due[agent]
                restarts += 1
                await self._try_start(agent)
        self._watched[agent] = msgspec.structs.replace(status, restarts=restarts)

    async def _try_start(self, agent: str) -> None:
        try:
            await self._moon.order(agent, "start", timeout=STATUS_TIMEOUT)
        except MoonletError as error:
            log.warning("a restart failed", agent=agent, error=str(error))

    async def _ask_status(self, agent: str) -> AgentStatus:
        now = self._moon.bus.clock.now_us()
        watched = self._watched.get(agent)
        last = watched.last_heartbeat if watched is not None else 0
        try:
            found = await self._moon.order(agent, "status", timeout=STATUS_TIMEOUT)
        except UnknownAgentType:
            raise
        except MoonletError as error:
            return AgentStatus(agent, "unknown", "unhealthy", str(error), last_heartbeat=last)
        health: Health = "healthy"
        if found["status"] == "broken":
            health = "unhealthy"
        elif found["status"] in ("stopped", "recovering") or found["held"]:
            health = "degraded"
        reason = found["error"] or (found["status"] if health != "healthy" else "")
        return AgentStatus(
            agent,
            found["status"],
            health,
            reason,
            found["revision"],
            found["queued"],
            found["held"],
            watched.restarts if watched is not None else 0,
            now,
        )


_RANK: Final = {"healthy": 0, "degraded": 1, "unhealthy": 2}
