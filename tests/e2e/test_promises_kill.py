"""`kill -9` of hosts and of the server, with commands in flight: P1–P6."""

import asyncio
import os
import random

import pytest

from moonlet.agents import Client, connect
from moonlet.streams import Topology
from moonlet.streams.server.server_process import ServerProcess
from tests.agents.accounts import Deposit, Transfer, account_type
from tests.checkers import (
    check_acknowledged,
    check_sends,
    check_states,
    histories,
)
from tests.host_process import HostProcess

ROUNDS = int(os.environ.get("MOONLET_CHAOS_ROUNDS", "6"))
AGENTS = [f"account/a{i}" for i in range(6)]


class Load:
    """Commands to a few agents, each sent after the one before was acknowledged."""

    def __init__(self, moon: Client) -> None:
        self.moon = moon
        self.acknowledged: dict[str, list[str]] = {agent: [] for agent in AGENTS}
        self.stopping = False
        self._tasks = [asyncio.create_task(self._send(agent)) for agent in AGENTS]

    async def _send(self, agent: str) -> None:
        draw = random.Random(agent)
        while not self.stopping:
            command = Transfer(draw.choice(AGENTS), 1) if draw.random() < 0.5 else Deposit(5)
            receipt = await self.moon.tell(agent, command, timeout=30)
            self.acknowledged[agent].append(receipt.id)
            await asyncio.sleep(0.005)

    @property
    def count(self) -> int:
        return sum(len(ids) for ids in self.acknowledged.values())

    async def until(self, count: int) -> None:
        async with asyncio.timeout(60):
            while self.count < count:
                await asyncio.sleep(0.01)
                for task in self._tasks:
                    if task.done():
                        task.result()

    async def stop(self) -> None:
        self.stopping = True
        await asyncio.gather(*self._tasks)


async def all_committed(load: Load) -> None:
    """Wait until every acknowledged command and every send has its commit."""
    async with asyncio.timeout(60):
        for agent, ids in load.acknowledged.items():
            missing = set(ids)
            async for commit in load.moon.history(agent, follow=True):
                missing.discard(commit.command.id)
                if not missing:
                    break


async def check(load: Load) -> None:
    await all_committed(load)
    async with asyncio.timeout(60):
        while True:
            found = await histories(load.moon, AGENTS)
            try:
                check_sends(found)
                break
            except AssertionError as error:
                if "applied 0 times" not in str(error):
                    raise
                await asyncio.sleep(0.05)
    for agent, ids in load.acknowledged.items():
        check_acknowledged(found[agent], ids)
    await check_states(load.moon, found)


@pytest.mark.timeout(300)
async def test_killed_hosts_lose_and_double_nothing(own_server: ServerProcess, name: str) -> None:
    hosts = [HostProcess(own_server.url, name) for _ in range(2)]
    try:
        for host in hosts:
            host.await_ready()
        async with connect(
            own_server.url, agents=[account_type()], topology=Topology(prefix=name)
        ) as moon:
            load = Load(moon)
            for round_ in range(ROUNDS):
                await load.until(load.count + 60)
                hosts.pop(0).kill()
                hosts.append(HostProcess(own_server.url, name))
                hosts[-1].await_ready()
                assert len(hosts) == 2, round_
            await load.until(load.count + 60)
            await load.stop()
            await check(load)
    finally:
        for host in hosts:
            host.kill()


@pytest.mark.timeout(300)
async def test_a_killed_server_loses_and_doubles_nothing(
    own_server: ServerProcess, name: str
) -> None:
    host = HostProcess(own_server.url, name, lease=30)  # a lost lease would make all anew
    try:
        host.await_ready()
        async with connect(
            own_server.url, agents=[account_type()], topology=Topology(prefix=name)
        ) as moon:
            load = Load(moon)
            for _ in range(ROUNDS):
                await load.until(load.count + 60)
                own_server.kill()
                await asyncio.sleep(0.05)
                own_server.start()
            await load.until(load.count + 60)
            await load.stop()
            await check(load)
    finally:
        host.kill()
