"""When snapshots are taken, by what reading without one would cost, and how long that may take."""

import asyncio
import time
from types import SimpleNamespace
from typing import Any

import pytest

from moonlet.agents import Client, Host
from moonlet.agents.owner import owned_partition
from moonlet.agents.recovery import snapshot_policy
from moonlet.agents.recovery.snapshot_policy import SnapshotPolicy
from moonlet.core.ids import AgentId
from moonlet.streams import Snapshots
from moonlet.testing import MoonServer
from tests.agents.accounts import Deposit, account_type
from tests.faulty import until_true
from tests.journals import write_deposits


class SlowClock:
    """Each snapshot takes as long as it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


class Leaver(SnapshotPolicy):
    """Notes whose snapshots are taken, instead of taking them."""

    def __init__(self, each: float) -> None:
        self.clock = SlowClock()
        services: Any = SimpleNamespace(bus=SimpleNamespace(clock=self.clock))
        nobody: Any = None
        super().__init__(services, account_type(), "journal", nobody, nobody)
        self.each = each
        self.taken: list[int] = []
        self.turns = 0

    def at_rest(self, agent: Any) -> None:
        self.clock.now += self.each
        self.taken.append(agent.tail_bytes)


async def leave(policy: Leaver, agents: int, seconds: float) -> None:
    async def others() -> None:
        while True:
            await asyncio.sleep(0)
            policy.turns += 1

    beside = asyncio.create_task(others())
    tails: list[Any] = [SimpleNamespace(tail_bytes=n) for n in range(agents)]
    await policy.leaving(tails, seconds)
    beside.cancel()


async def test_a_host_that_leaves_takes_the_longest_tails_first_and_no_longer_than_it_may() -> None:
    policy = Leaver(each=0.01)
    await leave(policy, 10_000, 2.0)
    assert policy.taken[:3] == [9_999, 9_998, 9_997]
    assert 198 <= len(policy.taken) <= 202
    assert policy.clock.now <= 2.02


async def test_others_have_their_turn_while_a_host_leaves() -> None:
    policy = Leaver(each=0.001)
    await leave(policy, 1_000, 2.0)
    assert len(policy.taken) == 1_000
    assert policy.turns >= 200


async def test_a_host_leaves_a_thousand_warm_agents_with_snapshots_within_its_bound(
    moon_server: MoonServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot_policy, "SNAPSHOT_AT_REST", 1)
    monkeypatch.setattr(snapshot_policy, "UNDER_WAY", 8)
    async with moon_server.connect() as moon:
        host = Host(moon, [account_type()])
        await host.start()
        await asyncio.gather(
            *(moon.ask(f"account/a{n}", Deposit(1), timeout=60) for n in range(1_000))
        )
        began = time.monotonic()
        await host.stop()
        took = time.monotonic() - began
        assert took < owned_partition.DRAIN + owned_partition.SNAPSHOTS_SECONDS
        stored = [await snapshot_of(moon, f"account/a{n}") for n in range(1_000)]
        if took < owned_partition.SNAPSHOTS_SECONDS:  # it had the time for all of them
            assert stored.count(1) == 1_000
        assert stored.count(1) > 0


async def snapshot_of(moon: Client, agent: str) -> int:
    """The revision of the snapshot that is stored; 0 if there is none."""
    found = await Snapshots(moon.bus).load(AgentId.parse(agent))
    return 0 if found is None else found.revision


async def test_a_tail_that_was_spread_over_much_of_the_journal_is_read_once(
    moon_server: MoonServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot_policy, "SNAPSHOT_SPAN", 200)
    async with moon_server.connect() as moon:
        await write_deposits(moon, 100, 5)
        async with Host(moon, [account_type()]):
            assert await moon.ask("account/s7", Deposit(1), timeout=20) == 6

            async def stored() -> bool:
                return await snapshot_of(moon, "account/s7") == 5

            await until_true(stored)
            assert await snapshot_of(moon, "account/s8") == 0
