"""P8 in simulation: whatever happens to server, network and replicas, they converge."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable

import msgspec
import pytest

from moonlet.core.errors import MoonletError
from moonlet.projections import MemoryDisk, Replica
from moonlet.simulations import Scenario, World, faults
from moonlet.simulations.faults import declared
from moonlet.simulations.search import asked_seeds, sweep
from tests.agents.accounts import Deposit, Transfer, account_type
from tests.projections.simulated import ReplicaNode, settled, torment
from tests.replica_process import REGIONS

SEEDS = 10
FOUND = {
    60: "a page of a journal with a hole was taken for all of it: commits were never made",
    948: "two agents asked for a journal's end together, and the second found it forgotten",
}
"""Bugs of ours by the seed that found them."""

COMMANDS = 24
TYPES = tuple(account_type(region, partitions=1) for region in REGIONS)
ACCOUNTS = [f"{region}/{name}" for region in REGIONS for name in ("alice", "bob")]


Then = Callable[[World, list[ReplicaNode]], Awaitable[None]]


async def replicas_converge(world: World, then: Then | None = None) -> None:
    """Three replicas beside hosts that have faults of their own; equal bytes at the end."""
    dice = world.seed.dice("replicas")
    disk = MemoryDisk()
    nodes = [ReplicaNode(world, f"r{n}", disk) for n in (1, 2, 3)]
    for node in nodes:
        node.boot()
    async with world.client() as moon:
        trouble = asyncio.create_task(
            torment(world, nodes, world.seed.dice("trouble"), world.now + 12)
        )
        for _ in range(COMMANDS):
            source, target = dice.sample(ACCOUNTS, 2)
            command = Transfer(target, 1) if dice.below(2) else Deposit(5)
            await moon.tell(source, command)
            await world.advance("300ms")
        await trouble
        if then is not None:
            await then(world, nodes)
        await world.settle()
        replicas = await settled(world, nodes, moon)
    digests = {replica.digest for replica in replicas}
    assert len(digests) == 1, [replica.value for replica in replicas]
    assert [replica._lifecycle.held().state.ahead for replica in replicas] == [0, 0, 0]
    totals: Counter[str] = Counter()
    for history in world.chronicle.histories.values():
        for commit in history.commits:
            for event in commit.events:
                sign = 1 if event.name == "Deposited" else -1
                totals[history.agent.partition("/")[2]] += sign * amount(event.body)
    assert replicas[0].value["by_account"] == dict(totals)


def amount(body: object) -> int:
    """The amount of an event's body, encoded or not."""
    if isinstance(body, msgspec.Raw):
        body = msgspec.json.decode(body)
    assert isinstance(body, dict)
    return int(body["amount"])


convergence = Scenario(
    name=f"{__name__}:convergence",
    body=replicas_converge,
    agents=TYPES,
    faults=faults.all(),
    horizon="10s",
    journals={region: [region] for region in REGIONS},
)


async def snapshot(replica: Replica) -> None:
    with contextlib.suppress(MoonletError):
        await replica.snapshot()


async def begin_anew(world: World, nodes: list[ReplicaNode]) -> None:
    """A snapshot is stored, then a replica starts without a file while the others are down."""
    await world.advance("12s")  # all replicas report, and may store one by themselves
    first, second, third = nodes
    if first.replica is not None and first.replica.failure is None:
        await asyncio.wait([first.node.spawn(snapshot(first.replica))], timeout=5)
    for node in nodes:
        node.crash()
    second.disk.remove(second.path)
    second.restart()
    await world.advance("3s")
    first.restart()
    third.restart()


async def replicas_begin_anew(world: World) -> None:
    """The same, and then one of them begins anew."""
    await replicas_converge(world, begin_anew)


rare_turns = msgspec.structs.replace(
    convergence,
    name=f"{__name__}:rare_turns",
    body=replicas_begin_anew,
    faults=faults.only("buggify", "crash", "cut", "pause", "drop_reply", "delay_reply"),
    horizon="30s",
)
"""Here the turns that replicas take rarely have their chance."""


def test_replicas_converge_in_every_world() -> None:
    sweep(convergence, asked_seeds(SEEDS)).report()


def test_replicas_converge_whatever_rare_turns_they_take() -> None:
    sweep(rare_turns, asked_seeds(SEEDS)).report()


def test_every_mark_of_the_views_is_reached_by_the_suite() -> None:
    missed = declared("moonlet.projections.")
    assert missed
    for seed in range(20, 60):
        if missed:
            run = rare_turns.run(seed)
            assert run.error is None, f"{seed}: {run.error}"
            missed -= set(run.reached)
    assert not missed, missed


@pytest.mark.parametrize("seed", FOUND, ids=lambda seed: f"seed {seed}")
def test_what_was_found_once_stays_mended(seed: int) -> None:
    run = convergence.run(seed)
    assert run.error is None, f"{FOUND[seed]}: {run.error}"


def test_a_world_with_replicas_is_the_same_twice() -> None:
    assert convergence.run(3).digest == convergence.run(3).digest
