"""P8 on real processes: replicas that are killed, paused, cut off and restored converge."""

import asyncio
import os
import random
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from moonlet.agents import Client, Host, connect
from moonlet.core.frontier import Frontier
from moonlet.projections import Replica
from moonlet.streams.server.server_process import ServerProcess
from tests.agents.accounts import Deposit, Transfer, account_type
from tests.replica_process import REGIONS, ReplicaProcess, ledger, topology

ROUNDS = int(os.environ.get("MOONLET_CHAOS_ROUNDS", "3"))
ACCOUNTS = [f"{region}/{name}" for region in REGIONS for name in ("alice", "bob")]
TYPES = [account_type(region, partitions=1) for region in REGIONS]


class Load:
    """Commands to accounts in three journals, until it is stopped."""

    def __init__(self, moon: Client) -> None:
        self.moon = moon
        self.count = 0
        self._stopping = False
        self._tasks = [asyncio.create_task(self._send(agent)) for agent in ACCOUNTS]

    async def _send(self, agent: str) -> None:
        draw = random.Random(agent)
        while not self._stopping:
            transfer = draw.random() < 0.5
            command: Any = Transfer(draw.choice(ACCOUNTS), 1) if transfer else Deposit(5)
            await self.moon.ask(agent, command, timeout=30)
            self.count += 1

    async def until(self, count: int) -> None:
        async with asyncio.timeout(60):
            while self.count < count:
                await asyncio.sleep(0.005)
                for task in self._tasks:
                    if task.done():
                        task.result()

    async def stop(self) -> None:
        self._stopping = True
        await asyncio.gather(*self._tasks)


async def ends(moon: Client) -> Frontier:
    """The journals' ends, once all that was sent is committed: they stand still."""
    bus = moon.bus
    seen: list[int] = []
    async with asyncio.timeout(30):
        while True:
            infos = [await bus._js.stream_info(name) for name in bus.topology.journal_streams]
            now = [info["state"]["last_seq"] for info in infos if info is not None]
            waiting = await bus._js.stream_info(bus.topology.stream("internal"))
            if now == seen and waiting is not None and not waiting["state"]["messages"]:
                return Frontier(dict(zip(bus.topology.journal_streams, now, strict=True)))
            seen = now
            await asyncio.sleep(0.02)


async def expected_totals(moon: Client) -> Counter[str]:
    """The sums by key, by hand, from the agents' own histories."""
    totals: Counter[str] = Counter()
    for agent in ACCOUNTS:
        async for commit in moon.history(agent):
            for event in commit.events:
                sign = 1 if event.name == "Deposited" else -1
                totals[agent.partition("/")[2]] += sign * event.body["amount"]
    return totals


@pytest.mark.timeout(120)
async def test_three_replicas_that_are_killed_paused_and_restored_hold_equal_bytes(
    own_server: ServerProcess, name: str, tmp_path: Path
) -> None:
    draw = random.Random(7)
    replicas: list[ReplicaProcess] = []
    async with connect(own_server.url, agents=TYPES, topology=topology(name)) as moon:
        async with Host(moon, TYPES, lease=5):
            load = Load(moon)
            await load.until(20)
            try:
                for n in range(3):
                    replicas.append(ReplicaProcess(own_server.url, name, tmp_path / f"{n}.db"))
                for replica in replicas:
                    replica.await_ready()
                for round_ in range(ROUNDS):
                    await load.until(load.count + 60)
                    victim = replicas[draw.randrange(3)]
                    victim.kill()
                    if round_ == 0:
                        keep(victim.path, tmp_path / "old")
                    if round_ == ROUNDS - 1:
                        restore(tmp_path / "old", victim.path)
                    paused = replicas[draw.randrange(3)]
                    if paused is not victim:
                        paused.pause()
                    await load.until(load.count + 20)
                    victim.start()
                    victim.await_ready()
                    if paused is not victim:
                        paused.resume()
                await load.stop()
                token = await ends(moon)
                shown = [await asyncio.to_thread(replica.show, token) for replica in replicas]
                assert shown[0] == shown[1] == shown[2]
                assert shown[0]["frontier"] == token.sequences
                assert shown[0]["value"]["by_account"] == dict(await expected_totals(moon))
            finally:
                for replica in replicas:
                    replica.kill()


SUFFIXES = ("", "-wal", "-shm")


def keep(path: Path, folder: Path) -> None:
    """A copy of the view's file, as a killed process left it."""
    folder.mkdir()
    for suffix in SUFFIXES:
        if path.with_name(path.name + suffix).exists():
            shutil.copy(path.with_name(path.name + suffix), folder / f"view{suffix}")


def restore(folder: Path, path: Path) -> None:
    """Put that copy in the place of a view's file."""
    for suffix in SUFFIXES:
        path.with_name(path.name + suffix).unlink(missing_ok=True)
        if (folder / f"view{suffix}").exists():
            shutil.copy(folder / f"view{suffix}", path.with_name(path.name + suffix))


@pytest.mark.timeout(120)
async def test_a_killed_server_and_a_killed_host_leave_replicas_equal(
    own_server: ServerProcess, name: str, tmp_path: Path
) -> None:
    async with connect(own_server.url, agents=TYPES, topology=topology(name)) as moon:
        async with Host(moon, TYPES, lease=5):
            load = Load(moon)
            await load.until(20)
            async with (
                connect(own_server.url, topology=topology(name)) as other,
                Replica(moon, ledger, tmp_path / "a.db") as a,
                Replica(other, ledger, tmp_path / "b.db") as b,
            ):
                for _ in range(2):
                    await load.until(load.count + 30)
                    own_server.kill()
                    own_server.start()
                await load.until(load.count + 30)
                await load.stop()
                token = await ends(moon)
                await a.wait_for(token, timeout=20)
                await b.wait_for(token, timeout=20)
                assert a.failure is None and b.failure is None
                assert a.digest == b.digest
                assert a.value["by_account"] == dict(await expected_totals(moon))


async def test_a_client_reads_its_own_writes_at_any_replica(
    shared_server: ServerProcess, name: str, tmp_path: Path
) -> None:
    async with (
        connect(shared_server.url, agents=TYPES, topology=topology(name)) as moon,
        connect(shared_server.url, topology=topology(name)) as other,
        Host(moon, TYPES, lease=5),
        Replica(moon, ledger, tmp_path / "a.db") as a,
        Replica(other, ledger, tmp_path / "b.db") as b,
    ):
        total = 0
        for n, agent in enumerate(ACCOUNTS):
            total += n + 1
            replica = (a, b)[n % 2]
            await replica.pause()  # so that it can't have been quick enough by chance
            await moon.ask(agent, Deposit(n + 1))
            waiting = asyncio.create_task(replica.wait_for(moon.token))
            await asyncio.sleep(0)
            assert not waiting.done()
            await replica.resume()
            await waiting
            assert replica.value["total"] == total
        await a.wait_for(b.frontier)
        await b.wait_for(a.frontier)
        assert a.digest == b.digest
