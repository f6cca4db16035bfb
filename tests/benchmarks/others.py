"""The same account elsewhere: pyeventsourcing on SQLite, autogen-core in memory.

End to end each: a deposit is asked for and the new balance comes back. pyeventsourcing is called as
its manual does, with its aggregate cache on; each save is one SQLite transaction, synced to disk as
SQLite does by default, so it is compared with Moonlet with fsync. autogen-core keeps nothing; it is
compared with Moonlet without fsync. Both concurrent sides have 1,000 deposits on their way.
"""

from collections.abc import AsyncGenerator

from moonlet.agents import Host
from tests.benchmarks.account import Deposit, account_type
from tests.benchmarks.rows import Pair, Round, Row, Scale, Work
from tests.benchmarks.world import WINDOW, Stopwatch, World, pipelined, world

AGENTS = 1_000

EVENTSOURCING = Row(
    "the account, ahead of pyeventsourcing",
    "deposits/s",
    "pyeventsourcing on SQLite; both with fsync",
    bar_ratio=1.0,
)
AUTOGEN = Row(
    "the account, ahead of autogen-core",
    "deposits/s",
    "autogen-core in memory; Moonlet without fsync",
    bar_ratio=1.0,
)


async def moonlet(w: World, count: int) -> float:
    """Deposits a second, each asked and answered."""
    prefix = w.prefix()
    async with w.moon(prefix) as moon, Host(moon, [account_type()]):
        names = [f"account/a{index}" for index in range(AGENTS)]
        command = Deposit(5)

        async def deposit(index: int) -> None:
            assert await moon.ask(names[index % AGENTS], command, timeout=60) > 0

        await pipelined(AGENTS, WINDOW, deposit)
        watch = Stopwatch()
        await pipelined(count, WINDOW, deposit)
        taken = watch.stop()
    await w.remove(prefix)
    return count / taken


async def against_eventsourcing(scale: Scale) -> AsyncGenerator[Round, None]:
    from tests.benchmarks import with_eventsourcing  # the extra `bench` may not be installed

    count = scale.of(5_000)
    async with world(fsync=True) as w:
        while True:
            baseline = with_eventsourcing.run(min(AGENTS, count), count)
            yield {EVENTSOURCING.name: Pair(await moonlet(w, count), baseline)}


async def against_autogen(scale: Scale) -> AsyncGenerator[Round, None]:
    from tests.benchmarks import with_autogen

    count = scale.of(20_000)
    async with world(fsync=False) as w:
        while True:
            baseline = await with_autogen.run(AGENTS, count)
            yield {AUTOGEN.name: Pair(await moonlet(w, count), baseline)}


WORKS = (Work((EVENTSOURCING,), against_eventsourcing), Work((AUTOGEN,), against_autogen))
