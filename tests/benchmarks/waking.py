"""Bringing many cold agents back at once, of a journal of many others, by a command to each."""

import asyncio
import time
from collections.abc import AsyncGenerator

from moonlet.agents import Host
from tests.agents.accounts import Deposit, account_type
from tests.benchmarks.replay import bare
from tests.benchmarks.rows import Pair, Round, Row, Scale, Work
from tests.benchmarks.world import world
from tests.journals import write_deposits

AGENTS = 2_000
EACH = 100
WOKEN = 200

ROW = Row(
    "200 cold agents of 2,000 x 100 commits",
    "s",
    "raw nats-py pull of the whole journal, nothing decoded",
    less_is_better=True,
)


async def rounds(scale: Scale) -> AsyncGenerator[Round, None]:
    agents = scale.of(AGENTS)
    async with world(fsync=False) as w:
        prefix = w.prefix()
        async with w.moon(prefix) as moon:
            await write_deposits(moon, agents, EACH)
            async with Host(moon, [account_type()]) as host:
                stream = f"{prefix}-journal-main"
                for _ in range(100):
                    count = await w.messages(stream)
                    baseline = count / await bare(w, stream, count)
                    began = time.perf_counter()
                    await asyncio.gather(
                        *(
                            moon.ask(f"account/s{n}", Deposit(1), timeout=120)
                            for n in range(min(WOKEN, agents))
                        )
                    )
                    taken = time.perf_counter() - began
                    for type_, number in host.partitions:
                        partition = host.partition(type_, number)
                        assert partition is not None
                        for key in list(partition.agents):  # as a crash leaves them
                            partition.agents.pop(key).close()
                    yield {ROW.name: Pair(taken, baseline)}


WORKS = (Work((ROW,), rounds, rounds=5),)
