"""One owner at a time: takeover, hand-over, sleepers, and a command that kills its process."""

import asyncio
import time

import pytest

from moonlet.agents import Host, connect
from moonlet.core.errors import NoHost, Unavailable
from moonlet.streams import Topology
from moonlet.streams.server.server_process import ServerProcess
from tests.agents.accounts import Deposit, Die, GetBalance, account_type
from tests.checkers import histories
from tests.faulty import until, until_true
from tests.host_process import HostProcess


async def test_a_killed_host_is_taken_over_within_its_lease_and_a_second(
    shared_server: ServerProcess, name: str
) -> None:
    victim = HostProcess(shared_server.url, name, lease=1)
    try:
        victim.await_ready()
        async with connect(shared_server.url, topology=Topology(prefix=name)) as moon:
            assert await moon.ask("account/a", Deposit(1)) == 1
            async with Host(moon, [account_type()], lease=1) as heir:
                victim.kill()
                killed = time.monotonic()
                await until(lambda: len(heir.partitions) == 4)
                assert time.monotonic() - killed < 1 + 1
                assert await moon.ask("account/a", Deposit(1)) == 2
    finally:
        victim.kill()


async def test_a_host_that_leaves_hands_over_at_once(
    shared_server: ServerProcess, name: str
) -> None:
    account = account_type()
    topology = Topology(prefix=name)
    async with connect(shared_server.url, topology=topology) as moon:
        first = Host(moon, [account], lease=30)
        await first.start()
        async with Host(moon, [account], lease=30) as second:
            await until(lambda: len(second.partitions) == 2)
            assert len(first.partitions) == 2
            await first.stop()
            left = time.monotonic()
            await until(lambda: len(second.partitions) == 4)
            assert time.monotonic() - left < 1.0  # not the lease of 30 s
            assert await moon.ask("account/a", Deposit(1)) == 1


async def test_a_terminated_host_process_drains_and_exits_zero(
    shared_server: ServerProcess, name: str
) -> None:
    host = HostProcess(shared_server.url, name, lease=30)
    try:
        host.await_ready()
        async with connect(shared_server.url, topology=Topology(prefix=name)) as moon:
            telling = [
                asyncio.create_task(moon.tell(f"account/a{i % 5}", Deposit(1))) for i in range(50)
            ]
            await asyncio.wait(telling)
            asked = time.monotonic()
            assert await asyncio.to_thread(host.terminate) == 0
            assert time.monotonic() - asked < 10
            async with Host(moon, [account_type()], lease=30):
                receipts = [task.result() for task in telling]
                for receipt in receipts:
                    assert (await receipt.committed(timeout=10)).outcome == "accepted"
                # Handed over, so that nobody waits for the lease of 30 s to run out.
                assert await moon.ask("account/a0", Deposit(1), timeout=10) == 11
                await histories(moon, [f"account/a{i}" for i in range(5)])
    finally:
        host.kill()


async def test_a_host_paused_past_its_lease_carries_on_as_a_newcomer(
    shared_server: ServerProcess, name: str
) -> None:
    sleeper = HostProcess(shared_server.url, name, lease=1)
    try:
        sleeper.await_ready()
        async with connect(shared_server.url, topology=Topology(prefix=name)) as moon:
            assert await moon.ask("account/a", Deposit(1)) == 1
            sleeper.pause()
            telling = [asyncio.create_task(moon.tell("account/a", Deposit(1))) for _ in range(20)]
            async with Host(moon, [account_type()], lease=1) as heir:
                await until(lambda: len(heir.partitions) == 4)
                for task in telling:
                    await (await task).committed(timeout=10)
                sleeper.resume()
                # It lost everything; as a newcomer it gets its share of the partitions again.
                await until(lambda: len(heir.partitions) == 2, within=15)
                assert await moon.ask("account/a", Deposit(1), timeout=10) == 22
                found = await histories(moon, ["account/a"])
                assert len(found["account/a"]) == 22
    finally:
        sleeper.kill()


async def test_without_a_host_a_query_says_so_and_a_command_waits(
    shared_server: ServerProcess, name: str
) -> None:
    account = account_type()
    async with connect(shared_server.url, topology=Topology(prefix=name)) as moon:
        async with Host(moon, [account]):
            assert await moon.ask("account/a", Deposit(1)) == 1
        with pytest.raises(NoHost, match="moonlet run"):
            await moon.query("account/a", GetBalance(), timeout=0.5)
        receipt = await moon.tell("account/a", Deposit(2))
        async with Host(moon, [account]):
            assert (await receipt.committed()).revision == 2


async def test_a_stopped_agent_stays_stopped_on_the_next_owner(
    shared_server: ServerProcess, name: str
) -> None:
    account = account_type()
    async with connect(shared_server.url, topology=Topology(prefix=name)) as moon:
        async with Host(moon, [account]):
            assert await moon.ask("account/a", Deposit(1)) == 1
            await moon.order("account/a", "stop")
            waiting = [await moon.tell("account/a", Deposit(1)) for _ in range(3)]
            with pytest.raises(Unavailable, match="stopped"):
                await moon.query("account/a", GetBalance())
            assert await moon.ask("account/b", Deposit(1)) == 1
        async with Host(moon, [account]):
            with pytest.raises(Unavailable, match="stopped"):
                await moon.query("account/a", GetBalance())
            found = await histories(moon, ["account/a"])
            assert len(found["account/a"]) == 1
            await moon.order("account/a", "start")
            commits = [await receipt.committed() for receipt in waiting]
            assert [commit.revision for commit in commits] == [2, 3, 4]
            assert await moon.query("account/a", GetBalance()) == 4


@pytest.mark.timeout(180)
async def test_a_command_that_kills_its_process_parks_only_itself(
    shared_server: ServerProcess, name: str
) -> None:
    """One owner dies of it; two more note it first and die too; the fourth parks it."""
    hosts = [HostProcess(shared_server.url, name, lease=1)]
    try:
        hosts[0].await_ready()
        async with connect(shared_server.url, topology=Topology(prefix=name)) as moon:
            await moon.ask("account/a", Deposit(1))
            deadly = await moon.tell("account/a", Die())
            innocent = [await moon.tell("account/a", Deposit(1)) for _ in range(5)]

            async def decided() -> bool:
                if hosts[-1].process.poll() is not None and len(hosts) < 8:
                    hosts.append(HostProcess(shared_server.url, name, lease=1))
                return len([c async for c in moon.history("account/a")]) == 7

            await until_true(decided, within=60)
            commit = await deadly.committed()
            assert commit.outcome == "parked" and "process" in commit.reason
            for receipt in innocent:
                assert (await receipt.committed()).outcome == "accepted"
            assert len(hosts) == 4
            await histories(moon, ["account/a"])
    finally:
        for host in hosts:
            host.kill()
