"""Commits into the journal with fsync, the commands already in memory: no mailbox, no client."""

import asyncio
import time
from collections.abc import AsyncGenerator
from typing import Any

import msgspec

from moonlet.core.commit import Command, Commit, Event
from moonlet.core.errors import MoonletError
from moonlet.core.hlc import Timestamp
from moonlet.streams import GroupCommit, encode_commit
from tests.benchmarks.bare import publish_batches, publish_singly
from tests.benchmarks.rows import Pair, Round, Row, Scale, Work
from tests.benchmarks.world import Stopwatch, World, world

AGENTS = 1_000
BATCHES = 20
SINGLES = 4
"""Rounds of single publishes: a fifth as many, since they are that much slower."""

SINGLY = Row(
    "journal with fsync, against singles", "commits/s", "bare single publishes", bar_ratio=3.0
)
IN_BATCHES = Row(
    "journal with fsync, against batches",
    "commits/s",
    "bare atomic batches of 1,000",
    bar_ratio=0.7,
)


class Agent:
    """The least that an agent does: encode its next commit, append it after the last."""

    def __init__(self, index: int, writer: GroupCommit, subject: str, left: int) -> None:
        self._id = f"account/a{index}"
        self._writer = writer
        self._subject = subject
        self.left = left
        self._revision = self._sequence = 0
        self._digest = ""

    def append(self, landed: "asyncio.Future[None]", open: list[int]) -> None:
        self.left -= 1
        self._revision += 1
        body = msgspec.Raw(b'{"amount":5}')
        id = "c-xxxxxxxxxxxxxxxxxxxxxx.account.a500.medium.10"
        commit: Commit[Any] = Commit(
            agent=self._id,
            revision=self._revision,
            outcome="accepted",
            command=Command(id, "Deposit", body, sequence=5_000, sender=id[:24], number=9),
            time=Timestamp(time.time_ns() // 1_000, 0),
            events=(Event("Deposited", body),),
            reply=msgspec.Raw(b"50"),
            app_version="0.1.0",
            previous_digest=self._digest,
            dispatched=self._revision - 1,
        )
        record, self._digest = encode_commit(commit, "json")

        def done(result: "list[int] | MoonletError") -> None:
            assert isinstance(result, list), result
            self._sequence = result[-1]
            if self.left:
                self.append(landed, open)
                return
            open[0] -= 1
            if not open[0]:
                landed.set_result(None)

        self._writer.append(self._subject, self._sequence, [record], done)


async def moonlet(w: World, count: int) -> float:
    """Commits a second through the group commit."""
    prefix = w.prefix()
    await w.create_streams(prefix, "journal-main")
    async with w.moon(prefix) as moon:
        writer = GroupCommit(moon.bus, f"{prefix}-journal-main")
        agents = [
            Agent(i, writer, f"{prefix}.evt.account.a{i}", count // AGENTS) for i in range(AGENTS)
        ]
        landed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        open = [AGENTS]
        watch = Stopwatch()
        for agent in agents:
            agent.append(landed, open)
        await landed
        taken = watch.stop()
    assert await w.messages(f"{prefix}-journal-main") == count
    await w.remove(prefix)
    return count / taken


async def bare(w: World, count: int, *, batches: bool) -> float:
    """Commits a second through nats-py."""
    prefix = w.prefix()
    await w.create_streams(prefix, "journal-main")
    watch = Stopwatch()
    if batches:
        await publish_batches(w, prefix, AGENTS, count)
    else:
        await publish_singly(w, prefix, AGENTS, count)
    taken = watch.stop()
    assert await w.messages(f"{prefix}-journal-main") == count
    await w.remove(prefix)
    return count / taken


async def rounds(scale: Scale) -> AsyncGenerator[Round, None]:
    batches, singles = scale.of(BATCHES, 2) * AGENTS, scale.of(SINGLES) * AGENTS
    async with world(fsync=True) as w:
        while True:
            singly = await bare(w, singles, batches=False)
            ours = await moonlet(w, batches)
            in_batches = await bare(w, batches, batches=True)
            yield {SINGLY.name: Pair(ours, singly), IN_BATCHES.name: Pair(ours, in_batches)}


WORKS = (Work((SINGLY, IN_BATCHES), rounds),)
