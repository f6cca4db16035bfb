"""Very many senders to one agent: what each costs in time, memory and on disk; and is it exact?

Run: `.venv/bin/python -m tests.benchmarks.senders [senders]`. Commands are decided and folded as an
owner does it, and what leaves memory is stored on a real server; only the journal is left out.
"""

import asyncio
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from moonlet.agents import connect
from moonlet.agents.deciding import (
    CommitChain,
    LookUp,
    QueuedCommand,
    Rules,
    Settled,
    Verdict,
    WaitingCommands,
    decide_ahead,
)
from moonlet.agents.recovery import PastKeeper
from moonlet.agents.services import HostServices
from moonlet.core.commit import place
from moonlet.core.envelope import Envelope
from moonlet.core.fold import Fold
from moonlet.core.hlc import Timestamp
from moonlet.core.ids import AgentId
from moonlet.streams import Delivery, apply_topology
from moonlet.streams.server import TemporaryServer
from tests.agents.accounts import account_type

HUB = AgentId("account", "hub")
STREAM = "moon-journal-main"
BODY = msgspec.Raw(b'{"amount":1}')
CHAIN = 64
ROUNDS = 40


class Senders(msgspec.Struct):
    """What was measured. Memory is what Python has for the fold and its past; µs are a command's.

    `again` is of senders that had left memory. `usual_us` is of a fold that nobody has left.
    """

    senders: int
    seconds: float = 0.0
    memory_bytes: int = 0
    disk_bytes: int = 0
    stored: int = 0
    runs: int = 0
    looked_up: int = 0
    wrong: int = 0
    known_us: float = 0.0
    usual_us: float = 0.0
    new_us: float = 0.0
    again_us: float = 0.0


class _Source:
    """Where the commands come from."""

    stream = "moon-internal"

    def acknowledge(self, delivery: Delivery, *, credited: bool) -> None:
        """Nothing waits for it."""

    def release(self, count: int = 1) -> None:
        """Nothing is kept."""


class Hub:
    """One agent without its journal."""

    def __init__(self, services: HostServices) -> None:
        self.fold: Fold[Any] = Fold(account_type().behavior.initial())
        self.fold.own_past().place = 0
        self.looked_up = 0
        self._keeper = PastKeeper(services, STREAM)
        self._rules = Rules(
            account_type(), app_version="1", max_payload=1_048_576, timers="t", internal="i"
        )
        self._sequence = 0

    async def take(self, envelopes: list[Envelope]) -> list[bool]:
        """Decide and commit these; says of each whether it was new."""
        fold, waiting, settled = self.fold, WaitingCommands(), Settled()
        for envelope in envelopes:
            delivery = Delivery("s", b"", None, "", 1, 0, 1, 0, None)
            waiting.add(QueuedCommand(_Source(), delivery, 2, True, envelope))
        new: set[str] = set()
        while waiting.count:
            chain = CommitChain(fold)
            verdict = decide_ahead(
                self._rules, HUB, fold, chain, waiting, None,
                most=CHAIN, effects_room=64, times=self._times, dispatched=0, settled=settled,
            )  # fmt: skip
            for pending in chain.commits:
                self._sequence += 1
                commit = place(pending.commit, self._sequence, pending.digest)
                fold.advance(commit, pending.state, body=pending.body)
                new.add(commit.command.id)
            if isinstance(verdict, LookUp):
                self.looked_up += len(verdict.keys)
                assert await self._keeper.look_up(HUB, fold, verdict.keys)
            if fold.past.held:
                assert await self._keeper.keep(HUB, fold)
        assert all(verdict is Verdict.ANSWER_AGAIN for _, verdict in settled)
        return [envelope.id in new for envelope in envelopes]

    def _times(self) -> tuple[int, Timestamp]:
        return 1, Timestamp(1)


def sent(sender: int, index: int = 0) -> Envelope:
    """A send of one of very many agents."""
    name = f"node/n{sender}"
    return Envelope(
        id=f"{name}:1.{index}", agent=str(HUB), name="Deposit", body=BODY, sender=name,
        number=1_024 + index,
    )  # fmt: skip


def batches(numbers: list[int]) -> Iterator[list[int]]:
    return (numbers[start : start + CHAIN] for start in range(0, len(numbers), CHAIN))


async def timed(hub: Hub, numbers: list[int], index: int = 0) -> tuple[float, int]:
    """Seconds for each of these, and how many were new."""
    began, new = time.perf_counter(), 0
    for batch in batches(numbers):
        new += sum(await hub.take([sent(number, index) for number in batch]))
    return (time.perf_counter() - began) / len(numbers), new


async def known(hubs: list[Hub], senders: list[list[int]], rounds: int) -> list[float]:
    """The quickest of some rounds with senders in memory, in µs for each, hubs taking turns."""
    best = [1.0] * len(hubs)
    for index in range(1, rounds + 1):
        for number, hub in enumerate(hubs):
            seconds, new = await timed(hub, senders[number], index)
            assert new == len(senders[number])
            best[number] = min(best[number], seconds)
    return [1e6 * seconds for seconds in best]


async def measure(url: str, senders: int, some: int, rounds: int = ROUNDS) -> Senders:
    """Let so many senders be heard once, then `some` of them again."""
    found = Senders(senders)
    rng = random.Random(1)
    async with connect(url) as moon:
        await apply_topology(moon.bus)
        services = HostServices(moon.bus, moon.registry)
        usual = Hub(services)
        few = list(range(1_000))
        await timed(usual, few)
        hub = Hub(services)
        began = time.perf_counter()
        _, new = await timed(hub, list(range(senders)))
        found.seconds = time.perf_counter() - began
        found.wrong += senders - new
        found.looked_up = hub.looked_up
        past = hub.fold.past
        found.stored, found.runs = sum(run.count for run in past.runs), len(past.runs)
        found.memory_bytes = memory_of(hub)
        last = list(range(senders - 1_000, senders))
        found.usual_us, found.known_us = await known([usual, hub], [few, last], rounds)
        old = rng.sample(range(senders - 10_000 if senders > 20_000 else senders // 4), some)
        found.again_us, new = await timed(hub, old)
        found.again_us *= 1e6
        found.wrong += new
        found.new_us, new = await timed(hub, list(range(senders, senders + some)))
        found.new_us *= 1e6
        found.wrong += some - new
    return found


def disk_of(folder: Path) -> int:
    """Bytes of the files of the stream that holds snapshots and pasts."""
    stream = next(folder.rglob("moon-snapshots"))
    return sum(file.stat().st_size for file in stream.rglob("*") if file.is_file())


def memory_of(hub: Hub) -> int:
    """Bytes of Python objects that the windows, ids and the past of a fold are made of."""
    fold, seen, total = hub.fold, set[int](), 0
    stack: list[Any] = [fold.windows.of, fold.ids, fold.past.fresh, fold.past.recalled]
    stack += [fold.past.whole]
    for run in fold.past.runs:
        stack += [run.name, run.fences, run.prints, run.pages]
    while stack:
        item = stack.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        total += sys.getsizeof(item)
        if isinstance(item, dict):
            stack += [*item.keys(), *item.values()]
        elif isinstance(item, list | tuple | set):
            stack += item
    return total


def main(senders: int) -> None:
    """Print what was measured."""
    with tempfile.TemporaryDirectory() as folder, TemporaryServer(Path(folder)) as url:
        found = asyncio.run(measure(url, senders, min(20_000, senders // 4)))
        found.disk_bytes = disk_of(Path(folder))
    print(msgspec.json.format(msgspec.json.encode(found)).decode())


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
