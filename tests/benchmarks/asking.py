"""Asking, from the call to the reply: one by one, at a steady 500 a second, and 64 in flight.

The steady ones start when they are due, whatever became of those before, and their time counts from
then on: waiting in line is part of it.
"""

import asyncio
import statistics
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from nats.aio.msg import Msg

from moonlet.agents import Host
from tests.benchmarks.account import Deposit, account_type
from tests.benchmarks.bare import BareClient, BareHost
from tests.benchmarks.rows import Pair, Round, Row, Scale, Work
from tests.benchmarks.world import World, world

AGENTS = 100
ONE_BY_ONE = 500
RATE = 500
SECONDS = 4.0
IN_FLIGHT = 64

BASELINE = "bare publish, pull, commit, reply"
ROWS = tuple(
    Row(f"ask with fsync, {how}, {p}", "ms", BASELINE, less_is_better=True, bar_value=bar)
    for how, p, bar in (
        ("one by one", "p50", 2.0),
        ("one by one", "p99", 20.0),
        (f"{RATE}/s", "p50", 4.0),
        (f"{RATE}/s", "p99", 20.0),
    )
)

IN_FLIGHT_ROWS = {
    fsync: Row(
        f"ask {'with' if fsync else 'without'} fsync, {IN_FLIGHT} in flight", "asks/s", BASELINE
    )
    for fsync in (True, False)
}

Ask = Callable[[int], Awaitable[None]]


@asynccontextmanager
async def moonlet(w: World) -> AsyncIterator[Ask]:
    """Deposits asked of Moonlet, all agents warm."""
    prefix = w.prefix()
    async with w.moon(prefix) as moon, Host(moon, [account_type()]):

        async def ask(index: int) -> None:
            assert await moon.ask(f"account/a{index % AGENTS}", Deposit(5), timeout=30) > 0

        for index in range(AGENTS):
            await ask(index)
        yield ask
    await w.remove(prefix)


@asynccontextmanager
async def bare(w: World) -> AsyncIterator[Ask]:
    """The same chain by nats-py: durable, pulled, committed, answered, acknowledged."""
    prefix = w.prefix()
    await w.create_streams(prefix, "mailboxes", "journal-main")
    host, client = BareHost(w, prefix), BareClient(w, prefix, AGENTS)
    await host.start()
    inbox = w.nc.new_inbox()
    waiting: dict[str, asyncio.Future[None]] = {}

    async def arrived(message: Msg) -> None:
        waiting.pop(message.subject).set_result(None)

    subscription = await w.nc.subscribe(f"{inbox}.*", cb=arrived)
    loop = asyncio.get_running_loop()
    count = 0

    async def ask(index: int) -> None:
        nonlocal count
        count += 1
        stored, replied = f"{inbox}.s{count}", f"{inbox}.r{count}"
        futures = waiting[stored], waiting[replied] = loop.create_future(), loop.create_future()
        await client.put(f"a{index % AGENTS}", f"c{count}", stored, replied)
        for future in futures:
            await future

    for index in range(AGENTS):
        await ask(index)
    yield ask
    await subscription.unsubscribe()
    await host.stop()
    await w.remove(prefix)


async def one_by_one(ask: Ask, count: int) -> list[float]:
    """Milliseconds of each."""
    taken = []
    for index in range(count):
        began = time.perf_counter()
        await ask(index)
        taken.append((time.perf_counter() - began) * 1e3)
    return taken


async def steadily(ask: Ask, seconds: float) -> list[float]:
    """Milliseconds of each from when it was due."""
    taken = []
    began = time.perf_counter() + 0.01

    async def one(index: int) -> None:
        due = began + index / RATE
        await asyncio.sleep(due - time.perf_counter())
        await ask(index)
        taken.append((time.perf_counter() - due) * 1e3)

    async with asyncio.TaskGroup() as group:
        for index in range(int(seconds * RATE)):
            group.create_task(one(index))
    return taken


async def in_flight(ask: Ask, seconds: float) -> float:
    """Asks a second, with so many under way at any time."""
    began = time.perf_counter()
    count = 0

    async def one(index: int) -> None:
        nonlocal count
        while time.perf_counter() - began < seconds:
            await ask(index)
            index += IN_FLIGHT
            count += 1

    await asyncio.gather(*(one(index) for index in range(IN_FLIGHT)))
    return count / (time.perf_counter() - began)


def quantiles(taken: list[float]) -> tuple[float, float]:
    """The median and the 99th percentile."""
    return statistics.median(taken), statistics.quantiles(taken, n=100)[98]


async def rounds(scale: Scale) -> AsyncGenerator[Round, None]:
    count, seconds = scale.of(ONE_BY_ONE, 100), max(0.5, SECONDS * scale.factor)
    async with world(fsync=True) as w:
        while True:
            figures: list[list[float]] = []
            for side in (bare, moonlet):
                async with side(w) as ask:
                    alone = quantiles(await one_by_one(ask, count))
                    figures.append([*alone, *quantiles(await steadily(ask, seconds))])
            baselines, ours = figures
            yield {
                row.name: Pair(*pair)
                for row, pair in zip(ROWS, zip(ours, baselines, strict=True), strict=True)
            }


def many(fsync: bool) -> Callable[[Scale], AsyncGenerator[Round, None]]:
    """The work of one of the rows with many in flight."""

    async def rounds(scale: Scale) -> AsyncGenerator[Round, None]:
        seconds = max(0.5, SECONDS * scale.factor)
        async with world(fsync=fsync) as w:
            while True:
                figures: list[float] = []
                for side in (bare, moonlet):
                    async with side(w) as ask:
                        figures.append(await in_flight(ask, seconds))
                baseline, ours = figures
                yield {IN_FLIGHT_ROWS[fsync].name: Pair(ours, baseline)}

    return rounds


WORKS = (
    Work(ROWS, rounds),
    *(Work((row,), many(fsync)) for fsync, row in IN_FLIGHT_ROWS.items()),
)
