"""Receipts: the way from a stored command to its commit."""

import asyncio
import time

import pytest

from moonlet.agents import Host, connect
from moonlet.core.errors import Unknown
from moonlet.streams.server.server_process import ServerProcess
from tests.agents.accounts import Deposit, account_type


async def test_who_waits_for_a_commit_without_a_server_keeps_nobody_else_waiting(
    own_server: ServerProcess,
) -> None:
    async with connect(own_server.url, agents=[account_type()]) as moon:
        async with Host(moon, [account_type()]):
            pass  # the streams are there now
        receipt = await moon.tell("account/a", Deposit(1))
        own_server.stop()
        waiting = asyncio.create_task(receipt.committed(timeout=1.5))
        longest, before = 0.0, time.monotonic()
        while not waiting.done():
            await asyncio.sleep(0.01)  # sleeps: a turn of the loop
            now = time.monotonic()
            longest, before = max(longest, now - before), now
        assert longest < 0.5
        with pytest.raises(Unknown, match="not decided in time"):
            await waiting
