"""`bench`: what this machine does, in a quarter of a minute. The full table is `make bench`."""

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from moonlet.agents import Client, connect
from moonlet.console.bench.agents import Add, counter
from moonlet.console.common import Advance, HostProcess, Options, command_without, progress, table
from moonlet.core.errors import Unavailable
from moonlet.streams import open_embedded, stream_facts

AGENTS: Final = 100
TELLS: Final = 3_000
ASKS: Final = 300
WORKERS: Final = 256
"""Tells in flight at a time."""

PATIENCE: Final = 60.0
"""Seconds that the commands may take to be committed."""

Row = tuple[str, float, str]


@command_without("url", "context")
async def bench(options: Options) -> None:
    """Measure tell and ask on this machine: own server with fsync, host in its own process.

    Its data is on the disk of --data, and removed at the end.
    """
    with tempfile.TemporaryDirectory(prefix=".moonlet-bench-", dir=options.folder) as name:
        rows = await _measure(options, Path(name))
    lines = table(
        [(f"{label:<34}", f"{value:,.1f}", unit) for label, value, unit in rows], right=(1,)
    )
    for (label, value, unit), line in zip(rows, lines, strict=True):
        options.output.result({"name": label, "value": round(value, 3), "unit": unit}, line)


async def _measure(options: Options, folder: Path) -> list[Row]:
    async with await open_embedded(folder) as server:
        log = folder / "host.log"
        host = await HostProcess.start("moonlet.console.bench.agents:counter", server.url, log)
        try:
            async with connect(server.url, agents=[counter]) as moon:
                await _each(AGENTS, lambda n: moon.ask(_agent(n), Add(1), timeout=PATIENCE))
                with progress(options.output, "tell", "commands") as advance:
                    rows = await _tell(moon, advance)
                with progress(options.output, "ask", "commands") as advance:
                    rows += await _ask(moon, advance)
        finally:
            await host.stop()
    return rows


async def _tell(moon: Client, advance: Advance) -> list[Row]:
    """How fast commands are stored, and how fast they are committed."""
    before = await _commits(moon)
    start = time.perf_counter()
    await _each(TELLS, lambda n: moon.tell(_agent(n), Add(1), timeout=PATIENCE), advance)
    stored = time.perf_counter() - start
    while (done := await _commits(moon) - before) < TELLS:
        if time.perf_counter() - start > PATIENCE:
            raise Unavailable(f"only {done:,} of {TELLS:,} commands were committed in {PATIENCE} s")
        await asyncio.sleep(0.005)
    committed = time.perf_counter() - start
    return [
        ("tell: commands stored", TELLS / stored, "/s"),
        ("tell: commands committed, end to end", TELLS / committed, "/s"),
    ]


async def _ask(moon: Client, advance: Advance) -> list[Row]:
    """How long one ask after the other takes, and how many go at once."""
    times = []
    for number in range(ASKS):
        advance(number, ASKS)
        start = time.perf_counter()
        await moon.ask(_agent(number), Add(1), timeout=PATIENCE)
        times.append((time.perf_counter() - start) * 1_000)
    times.sort()
    start = time.perf_counter()
    await _each(ASKS * 4, lambda n: moon.ask(_agent(n), Add(1), timeout=PATIENCE))
    rate = ASKS * 4 / (time.perf_counter() - start)
    return [
        ("ask: one by one, median", times[len(times) // 2], "ms"),
        ("ask: one by one, 99 of 100 within", times[len(times) * 99 // 100], "ms"),
        (f"ask: {WORKERS} at a time", rate, "/s"),
    ]


async def _each(
    count: int, work: Callable[[int], Awaitable[object]], advance: Advance | None = None
) -> None:
    """Do `work` for 0 to `count` − 1, `WORKERS` at a time."""
    numbers = iter(range(count))

    async def worker() -> None:
        for number in numbers:
            await work(number)
            if advance is not None and number % 100 == 0:
                advance(number, count)

    async with asyncio.TaskGroup() as group:
        for _ in range(WORKERS):
            group.create_task(worker())


def _agent(number: int) -> str:
    return f"{counter.name}/n{number % AGENTS}"


async def _commits(moon: Client) -> int:
    facts = await stream_facts(moon.bus, moon.bus.topology.journal_of(counter.name))
    assert facts is not None, "the host has made it"
    return facts.messages
