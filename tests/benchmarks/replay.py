"""Reading a journal from its beginning: raw, and decoded, checked and folded."""

import asyncio
from collections.abc import AsyncGenerator

import msgspec
from nats.aio.msg import Msg

from moonlet.agents import Client
from moonlet.core.fold import Fold
from moonlet.streams import GroupCommit, decode_commit, read_messages
from tests.benchmarks.account import Account, account_type
from tests.benchmarks.journal import Agent
from tests.benchmarks.rows import Pair, Round, Row, Scale, Work
from tests.benchmarks.world import Stopwatch, World, world

AGENTS = 100
EACH = 1_000
PULL = 2_000

BASELINE = "raw nats-py pull into one inbox, nothing decoded"
RAW = Row("replay from the server", "messages/s", BASELINE, bar_ratio=0.7)
FOLDED = Row("replay from the server, every commit folded", "commits/s", BASELINE)


async def fill(w: World, moon: Client, prefix: str, each: int) -> None:
    """A journal of commits of `AGENTS` agents, `each` of every one."""
    await w.create_streams(prefix, "journal-main")
    writer = GroupCommit(moon.bus, f"{prefix}-journal-main")
    landed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    open = [AGENTS]
    for index in range(AGENTS):
        Agent(index, writer, f"{prefix}.evt.account.a{index}", each).append(landed, open)
    await landed


async def bare(w: World, stream: str, count: int) -> float:
    """Messages a second by the least that pulls."""
    nc = w.nc
    consumer = {"name": "bare", "ack_policy": "none", "mem_storage": True}
    await w.api(f"CONSUMER.CREATE.{stream}.bare", {"stream_name": stream, "config": consumer})
    inbox = nc.new_inbox()
    request = msgspec.json.encode({"batch": PULL, "expires": 10**9})
    done = asyncio.get_running_loop().create_future()
    got = credit = 0

    async def on_message(message: Msg) -> None:
        nonlocal got, credit
        if not message.reply:
            return
        got += 1
        credit -= 1
        if credit <= PULL:
            credit += PULL
            await nc.publish(f"$JS.API.CONSUMER.MSG.NEXT.{stream}.bare", request, reply=inbox)
        if got == count:
            done.set_result(None)

    subscription = await nc.subscribe(
        inbox, cb=on_message, pending_msgs_limit=-1, pending_bytes_limit=-1
    )
    watch = Stopwatch()
    for _ in range(2):
        credit += PULL
        await nc.publish(f"$JS.API.CONSUMER.MSG.NEXT.{stream}.bare", request, reply=inbox)
    await done
    taken = watch.stop()
    await subscription.unsubscribe()
    await w.api(f"CONSUMER.DELETE.{stream}.bare")
    return count / taken


async def raw(moon: Client, prefix: str, count: int) -> float:
    """Messages a second by Moonlet's reader."""
    watch = Stopwatch()
    got = 0
    async for batch in read_messages(moon.bus, f"{prefix}-journal-main", f"{prefix}.evt.>"):
        got += len(batch)
    taken = watch.stop()
    assert got == count
    return count / taken


async def folded(moon: Client, prefix: str, count: int) -> float:
    """Commits a second, digests and chains checked, every agent's state folded."""
    behavior = account_type().behavior
    stream = f"{prefix}-journal-main"
    folds = {f"account/a{index}": Fold(Account()) for index in range(AGENTS)}
    watch = Stopwatch()
    async for batch in read_messages(moon.bus, stream, f"{prefix}.evt.>"):
        for message in batch:
            commit, encoding = decode_commit(stream, message)
            fold = folds[commit.agent]
            state = fold.state
            for event in commit.events:
                state = behavior.evolve_stored(state, event, encoding)
            fold.advance(commit, state)
    taken = watch.stop()
    assert sum(fold.state.balance for fold in folds.values()) == 5 * count
    return count / taken


async def rounds(scale: Scale) -> AsyncGenerator[Round, None]:
    each = scale.of(EACH)
    count = AGENTS * each
    async with world(fsync=False) as w:
        prefix = w.prefix()
        async with w.moon(prefix) as moon:
            await fill(w, moon, prefix, each)
            while True:
                baseline = await bare(w, f"{prefix}-journal-main", count)
                ours = await raw(moon, prefix, count)
                yield {
                    RAW.name: Pair(ours, baseline),
                    FOLDED.name: Pair(await folded(moon, prefix, count), baseline),
                }


WORKS = (Work((RAW, FOLDED), rounds),)
