"""Commands end to end: told, durable, decided, committed, acknowledged.

Client and host are in one process, as in the bare loop: that is the harder case for Moonlet, since
all its Python runs on one core. 1,000 tells are on their way at a time.
"""

from collections.abc import AsyncGenerator, Callable
from functools import partial

from moonlet.agents import Host
from tests.benchmarks.account import Deposit, account_type
from tests.benchmarks.bare import BareClient, BareHost
from tests.benchmarks.rows import Pair, Round, Row, Scale, Work
from tests.benchmarks.world import WINDOW, Stopwatch, World, pipelined, world


async def moonlet(w: World, agents: int, count: int) -> float:
    """Commands a second through Moonlet."""
    prefix = w.prefix()
    account = account_type()
    async with w.moon(prefix) as moon, Host(moon, [account]):
        names = [f"account/a{index}" for index in range(agents)]
        await pipelined(agents, WINDOW, lambda i: moon.tell(names[i], Deposit(5), timeout=60))
        await w.emptied(f"{prefix}-mailboxes")
        watch = Stopwatch()
        command = Deposit(5)
        await pipelined(count, WINDOW, lambda i: moon.tell(names[i % agents], command, timeout=60))
        await w.emptied(f"{prefix}-mailboxes")
        taken = watch.stop()
        assert await w.messages(f"{prefix}-journal-main") == count + agents
        assert (await moon.state(names[0])).balance == 5 * (count // agents + 1)
    await w.remove(prefix)
    return count / taken


async def bare(w: World, agents: int, count: int, *, batches: bool) -> float:
    """Commands a second through the bare loop."""
    prefix = w.prefix()
    await w.create_streams(prefix, "mailboxes", "journal-main")
    host = BareHost(w, prefix, batches=batches)
    await host.start()
    client = BareClient(w, prefix, agents)
    watch = Stopwatch()
    await client.send_all(count)
    await w.emptied(f"{prefix}-mailboxes")
    taken = watch.stop()
    await host.stop()
    assert await w.messages(f"{prefix}-journal-main") == count
    await w.remove(prefix)
    return count / taken


async def rounds(
    scale: Scale, *, name: str, agents: int, count: int, fsync: bool, batches: bool
) -> AsyncGenerator[Round, None]:
    async with world(fsync=fsync) as w:
        n = max(scale.of(count) // agents, 1) * agents
        while True:
            baseline = await bare(w, agents, n, batches=batches)
            yield {name: Pair(await moonlet(w, agents, n), baseline)}


def work(
    name: str, bar: float, baseline: str, *, agents: int, count: int, fsync: bool, batches: bool
) -> Work:
    row = Row(name, "commands/s", baseline, bar_ratio=bar)
    measure: Callable[[Scale], AsyncGenerator[Round, None]] = partial(
        rounds, name=name, agents=agents, count=count, fsync=fsync, batches=batches
    )
    return Work((row,), measure)


WORKS = (
    work(
        "end to end, 1,000 agents, no fsync",
        0.7,
        "bare loop, single commits",
        agents=1_000,
        count=30_000,
        fsync=False,
        batches=False,
    ),
    work(
        "end to end, 1 hot agent, no fsync",
        0.7,
        "bare loop, commits in atomic batches",
        agents=1,
        count=30_000,
        fsync=False,
        batches=True,
    ),
    work(
        "end to end, 1,000 agents, fsync",
        0.75,
        "bare loop, commits in atomic batches",
        agents=1_000,
        count=5_000,
        fsync=True,
        batches=True,
    ),
)
