"""A process that runs a host, and how the hosts of a world stand."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from moonlet.agents import AgentType, Host
from moonlet.core.errors import MoonletError
from moonlet.simulations.process.process import SimProcess
from moonlet.simulations.process.surroundings import Surroundings

START_AGAIN: Final = 0.5
"""Seconds until a supervisor starts a host again that could not start."""


class SimHost(SimProcess):
    """A process that runs a host, under a supervisor that starts it again."""

    def __init__(self, around: Surroundings, name: str) -> None:
        super().__init__(around, name)
        self.host: Host | None = None
        self.agents: Sequence[AgentType[Any]] = around.agents
        self._draining: asyncio.Event | None = None

    def deploy(self, agents: Sequence[AgentType[Any]]) -> None:
        """From its next start on it runs this code; it is drained for that."""
        self.agents = agents
        self.drain()

    def boot(self) -> None:
        """Start the process; the node is up and empty."""
        self.host = None
        self._draining = None
        self.node.spawn(self._main(), name=f"host {self.name}")

    def drain(self) -> None:
        """SIGTERM: hand over, leave, and be started again."""
        if self.node.up and self._draining is not None:
            self._draining.set()

    async def _main(self) -> None:
        while True:
            try:
                async with self.client() as client:
                    agents = self.agents
                    host = Host(client, agents, lease=self._around.lease, collect_rarely=False)
                    host.running = self._around.long_steps.running(self)
                    await host.start()
                    self.host, self._draining = host, asyncio.Event()
                    if agents is self.agents:  # else others were deployed while it started
                        await self._draining.wait()
                    self._draining = None
                    await host.stop()
                    self.host = None
            except MoonletError as error:
                self.host = None
                self._around.loop.note("no start", self.name, str(error))
                await self.close()
            await asyncio.sleep(START_AGAIN)


def all_owned(hosts: Iterable[SimHost], agents: Iterable[AgentType[Any]]) -> bool:
    """Whether every partition of every type is owned by a host that is up."""
    owned = {
        partition
        for process in hosts
        if process.node.up and process.host is not None
        for partition in process.host.partitions
    }
    return all(
        (agent_type.name, number) in owned
        for agent_type in agents
        for number in range(agent_type.partitions)
    )


def busy(hosts: Mapping[str, SimHost]) -> list[str]:
    """Who owns what, and which agents have something left, a line each."""
    lines = []
    for name, process in hosts.items():
        host = process.host
        if host is None or not process.node.up:
            lines.append(f"{name} is {'starting' if process.node.up else 'down'}")
            continue
        failure = "" if host.failure is None else f", where a task died: {host.failure!r}"
        lines.append(f"{name} owns {host.partitions or 'nothing'}{failure}")
        for type_, number in host.partitions:
            partition = host.partition(type_, number)
            for agent in partition.agents.values() if partition is not None else ():
                if not agent.idle:
                    found = f"{agent.phase.told}, {agent.queued} queued"
                    if agent.held:
                        found += f", {len(agent.held)} held"
                    lines.append(f"{name} has {agent.id}: {found}")
    return lines
