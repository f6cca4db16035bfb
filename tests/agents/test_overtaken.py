"""A command whose first try has no answer while thousands after it are committed."""

import asyncio

from moonlet.agents import Host, Receipt
from moonlet.core.memory import WINDOW
from moonlet.testing import MoonServer
from tests.agents.accounts import Deposit, GetBalance, account_type
from tests.faulty import FaultyMoon, until


async def test_a_command_that_is_overtaken_by_thousands_is_not_taken_for_an_old_one(
    moon_server: MoonServer,
) -> None:
    """Its first try is held back while all others are stored and committed."""
    prefix = moon_server.topology.prefix
    async with FaultyMoon(moon_server.url, prefix) as (moon, faults), Host(moon, [account_type()]):
        held = False

        def hold_the_first(subject: str, _: bytes) -> str:
            nonlocal held
            if ".cmd." not in subject or held:
                return "pass"
            held = True
            return "hold"

        faults.publishing = hold_the_first

        async def tell() -> Receipt:
            return await moon.tell("account/a", Deposit(1), timeout=30)

        slow = asyncio.create_task(tell())
        await until(lambda: held)
        others = asyncio.gather(*(tell() for _ in range(2 * WINDOW)))
        await until(lambda: len(faults.published) >= WINDOW)
        await asyncio.wait([others], timeout=1.0)
        faults.release()
        receipts = [await slow, *await others]
        for receipt in (receipts[0], receipts[-1]):
            assert (await receipt.committed(timeout=30)).outcome == "accepted"
        assert await moon.query("account/a", GetBalance()) == 2 * WINDOW + 1
