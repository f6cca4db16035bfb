"""How many commits of an agent may have effects on their way."""

import asyncio

from moonlet.agents import Host
from moonlet.agents.effects.outbox import COMMITS_MAX
from moonlet.testing import MoonServer
from tests.agents.accounts import Deposit, GetBalance, Transfer, account_type
from tests.faulty import FaultyMoon, until


async def test_an_agent_whose_sends_do_not_get_out_commits_no_more_than_may_be_outstanding(
    moon_server: MoonServer,
) -> None:
    prefix = moon_server.topology.prefix
    async with FaultyMoon(moon_server.url, prefix) as (moon, faults), Host(moon, [account_type()]):
        await moon.ask("account/a", Deposit(1_000))
        faults.publishing = lambda subject, _: "hold" if ".in." in subject else "pass"
        count = 3 * COMMITS_MAX
        last = await asyncio.gather(
            *(moon.tell("account/a", Transfer("account/b", 1)) for _ in range(count))
        )

        async def commits() -> int:
            return len([commit async for commit in moon.history("account/a")])

        await until(lambda: faults.held > 0)
        seen = -1
        while seen != (seen := await commits()):  # noqa: ASYNC110 (it is somebody else's state)
            await asyncio.sleep(0.1)
        assert seen == 1 + COMMITS_MAX

        faults.publishing = lambda subject, _: "pass"
        faults.release()
        assert (await last[-1].committed(timeout=30)).outcome == "accepted"
        assert await commits() == 1 + count
        assert await moon.query("account/a", GetBalance()) == 1_000 - count
