"""Memory per idle agent: 100,000 agents in one host, which is a process of its own.

Resident memory after 10,000 agents and after 110,000, so that what the process needs anyway is not
counted; the baseline is a process that only holds the same states in a dict, and what is counted is
what the host needs beyond it. Each agent has been sent one command by one client.
"""

import asyncio
import subprocess
import sys
from collections.abc import AsyncGenerator
from typing import Any

from moonlet.agents import Client, Host, connect
from tests.benchmarks.account import Account, Deposit, account_type
from tests.benchmarks.rows import Pair, Round, Row, Scale, Work
from tests.benchmarks.world import WINDOW, World, pipelined, topology, world

FIRST = 10_000
AGENTS = 100_000

ROW = Row(
    "memory per idle agent beyond its state",
    "bytes",
    "the state alone, in a dict",
    less_is_better=True,
    bar_value=2_048,
)


async def host(url: str, prefix: str) -> None:
    """The measured process: a host, until its input is closed."""
    async with connect(url, topology=topology(prefix)) as moon:
        async with Host(moon, [account_type()], idle_after=3_600, max_agents=2 * AGENTS):
            print("ready", flush=True)
            await asyncio.to_thread(sys.stdin.read)


def states(count: int) -> None:
    """The baseline's process: as many states as asked."""
    held: dict[str, Account] = {}
    print("ready", flush=True)
    for line in sys.stdin:
        while len(held) < int(line) * count // AGENTS:
            held[f"a{len(held)}"] = Account(1_000 + len(held))
        print("ready", flush=True)


class Child:
    """This module run as a process; ended with its input."""

    def __init__(self, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.memory", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def wait(self) -> None:
        """Until it says that it is ready."""
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n", "the process died"

    def ask(self, line: str) -> None:
        """Send a line and wait."""
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        self.wait()

    def resident(self) -> int:
        """Bytes of memory in use, as `ps` says."""
        shown = subprocess.run(
            ["ps", "-o", "rss=", "-p", str(self._process.pid)],
            capture_output=True,
            text=True,
            check=True,
        )
        return int(shown.stdout) * 1024

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)


async def fill(w: World, moon: Client, prefix: str, start: int, stop: int) -> None:
    """One command to each of the agents `start` … `stop` - 1."""
    command = Deposit(5)
    await pipelined(
        stop - start,
        WINDOW,
        lambda i: moon.tell(f"account/a{start + i}", command, timeout=60),
    )
    await w.emptied(f"{prefix}-mailboxes")


async def moonlet(w: World, count: int) -> float:
    """Bytes an agent."""
    prefix = w.prefix()
    child = Child("host", w.url, prefix)
    try:
        await asyncio.to_thread(child.wait)
        async with w.moon(prefix) as moon:
            await fill(w, moon, prefix, 0, FIRST)
            before = child.resident()
            await fill(w, moon, prefix, FIRST, FIRST + count)
            return (child.resident() - before) / count
    finally:
        child.close()
        await w.remove(prefix)


def bare(count: int) -> float:
    """Bytes a state."""
    child = Child("states", str(count))
    try:
        child.wait()
        child.ask(str(FIRST))
        before = child.resident()
        child.ask(str(FIRST + AGENTS))
        return (child.resident() - before) / count
    finally:
        child.close()


async def rounds(scale: Scale) -> AsyncGenerator[Round, None]:
    count = scale.of(AGENTS)
    async with world(fsync=False) as w:
        while True:
            baseline = bare(count)
            yield {ROW.name: Pair(await moonlet(w, count) - baseline, baseline)}


WORKS = (Work((ROW,), rounds),)


def main(arguments: list[str]) -> Any:
    """What the child processes run."""
    if arguments[0] == "host":
        asyncio.run(host(arguments[1], arguments[2]))
    else:
        states(int(arguments[1]))


if __name__ == "__main__":
    main(sys.argv[1:])
