"""Waking a cold agent of over 10,000 commits whose snapshot is as old as it gets: 255 commits."""

import time
from collections.abc import AsyncGenerator
from typing import Any

import msgspec
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from moonlet.agents import Host
from moonlet.core.ids import AgentId, partition_of
from moonlet.streams import Bus, Snapshots
from tests.benchmarks.account import Deposit, GetBalance, account_type
from tests.benchmarks.rows import Pair, Round, Row, Scale, Work
from tests.benchmarks.world import World, pipelined, world

COMMITS = 10_000
BEHIND = 255
AGENT = AgentId("account", "old")

ROW = Row(
    "cold activation, 10,000 commits + snapshot",
    "ms",
    "nats-py reads snapshot, own commit and tail",
    less_is_better=True,
    bar_value=50.0,
)


async def snapshot_revision(bus: Bus) -> int:
    """The revision of the agent's stored snapshot."""
    snapshot = await Snapshots(bus).load(AGENT)
    assert snapshot is not None
    return snapshot.revision


async def bare(w: World, prefix: str) -> float:
    """Milliseconds of the least that reads what recovery must read, and sums it up."""
    js = w.nc.jetstream()
    journal, subject = f"{prefix}-journal-main", f"{prefix}.evt.{AGENT.type}.{AGENT.key}"
    began = time.perf_counter()
    last = await js.get_last_msg(journal, subject)
    stored = await js.get_last_msg(f"{prefix}-snapshots", f"{prefix}.snap.account.{AGENT.key}")
    assert stored.data is not None and last.seq is not None
    snapshot: dict[str, Any] = msgspec.msgpack.decode(stored.data)
    balance = msgspec.msgpack.decode(snapshot["state"])["balance"]
    config = ConsumerConfig(
        deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
        opt_start_seq=snapshot["sequence"],
        ack_policy=AckPolicy.NONE,
        mem_storage=True,
    )
    tail = await js.pull_subscribe(subject, stream=journal, config=config)
    for message in (await tail.fetch(BEHIND + 1, timeout=5))[1:]:
        commit = msgspec.json.decode(message.data)
        balance += sum(event["body"]["amount"] for event in commit["events"])
    taken = time.perf_counter() - began
    await tail.unsubscribe()
    assert balance > 0
    return taken * 1e3


async def rounds(scale: Scale) -> AsyncGenerator[Round, None]:
    async with world(fsync=False) as w:
        prefix = w.prefix()
        async with w.moon(prefix) as moon, Host(moon, [account_type()]) as host:
            command = Deposit(5)
            await pipelined(COMMITS, 500, lambda _: moon.tell(str(AGENT), command, timeout=60))
            await w.emptied(f"{prefix}-mailboxes")
            commits = await w.messages(f"{prefix}-journal-main")
            while commits < await snapshot_revision(moon.bus) + BEHIND:
                await moon.ask(str(AGENT), command)
                commits += 1
            partition = host.partition("account", partition_of(AGENT.key, 4))
            assert partition is not None
            while True:
                baseline = await bare(w, prefix)
                partition.agents.pop(AGENT.key).close()  # as a crash leaves it: no snapshot now
                began = time.perf_counter()
                balance = await moon.query(str(AGENT), GetBalance())
                taken = (time.perf_counter() - began) * 1e3
                assert balance == 5 * commits
                yield {ROW.name: Pair(taken, baseline)}


WORKS = (Work((ROW,), rounds, rounds=15),)
