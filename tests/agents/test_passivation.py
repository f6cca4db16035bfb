"""Idle agents leave memory, and come back as they were."""

import asyncio

from moonlet.agents import Host
from moonlet.testing import MoonServer
from tests.agents.accounts import Deposit, DepositLater, GetBalance, account_type
from tests.faulty import until_true


async def test_an_idle_agent_leaves_memory_and_a_command_brings_it_back(
    moon_server: MoonServer,
) -> None:
    async with moon_server.connect() as moon:
        async with Host(moon, [account_type()], idle_after=0.2) as host:
            for _ in range(20):
                await moon.ask("account/a", Deposit(1))
            assert host.agents == 1

            async def gone() -> bool:
                return host.agents == 0

            await until_true(gone)
            assert await moon.ask("account/a", Deposit(1)) == 21


async def test_a_count_bounds_the_agents_in_memory_and_the_least_used_leave_first(
    moon_server: MoonServer,
) -> None:
    async with moon_server.connect() as moon:
        account = account_type(partitions=1)
        async with Host(moon, [account], idle_after=1.0, max_agents=10) as host:
            for n in range(40):
                await moon.ask(f"account/a{n}", Deposit(1))

            async def bounded() -> bool:
                return host.agents <= 10

            await until_true(bounded)
            balances = await asyncio.gather(
                *(moon.query(f"account/a{n}", GetBalance()) for n in range(40))
            )
            assert balances == [1] * 40


async def test_a_passive_agents_timer_brings_it_back(moon_server: MoonServer) -> None:
    async with moon_server.connect() as moon:
        async with Host(moon, [account_type()], idle_after=0.1) as host:
            await moon.ask("account/a", DepositLater(5, after=0.6))

            async def gone() -> bool:
                return host.agents == 0

            await until_true(gone)

            async def fired() -> bool:
                return len([c async for c in moon.history("account/a")]) == 2

            await until_true(fired)
            assert await moon.query("account/a", GetBalance()) == 5
