"""Commit times grow with revisions, whatever the hosts' clocks say."""

import asyncio

from moonlet.agents import Client, Host
from moonlet.streams import Bus, SystemClock
from moonlet.testing import MoonServer
from tests.agents.accounts import Deposit, account_type


class Ahead:
    """A clock an hour ahead."""

    def now_us(self) -> int:
        return SystemClock().now_us() + 3_600_000_000

    def monotonic(self) -> float:
        return SystemClock().monotonic()


async def test_after_a_host_whose_clock_was_ahead_times_still_grow(
    moon_server: MoonServer,
) -> None:
    account = account_type()
    async with moon_server.connect() as moon:
        bus = moon.bus

        async def ahead() -> Bus:
            return Bus(bus._js, Ahead(), bus.entropy, topology=bus.topology)

        async with Client(ahead) as early, Host(early, [account]):
            await early.ask("account/a", Deposit(1))
        async with Host(moon, [account]):
            await asyncio.gather(*(moon.ask("account/a", Deposit(1)) for _ in range(20)))
        times = [commit.time async for commit in moon.history("account/a")]
        assert times == sorted(set(times)) and len(times) == 21
