"""P8 in simulation: whatever happens to server, network and replicas, they converge."""

import asyncio
from collections import Counter

import msgspec
import pytest

from moonlet.projections.memory_disk import MemoryDisk
from moonlet.simulations import Scenario, World, faults
from moonlet.simulations.simulate import asked_seeds
from moonlet.simulations.sweep import sweep
from tests.agents.accounts import Deposit, Transfer, account_type
from tests.projections.simulated import ReplicaNode, settled, torment
from tests.replica_process import REGIONS

SEEDS = 16
FOUND = {
    60: "a page of a journal with a hole was taken for all of it: commits were never made",
    948: "two agents asked for a journal's end together, and the second found it forgotten",
}
"""Bugs of ours by the seed that found them."""

COMMANDS = 24
TYPES = tuple(account_type(region, partitions=1) for region in REGIONS)
ACCOUNTS = [f"{region}/{name}" for region in REGIONS for name in ("alice", "bob")]


async def replicas_converge(world: World) -> None:
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
        await world.settle()
        replicas = await settled(world, nodes, moon)
    digests = {replica.digest for replica in replicas}
    assert len(digests) == 1, [replica.value for replica in replicas]
    assert [replica._life.held().state.ahead for replica in replicas] == [0, 0, 0]
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


def test_replicas_converge_in_every_world() -> None:
    sweep(convergence, asked_seeds(SEEDS)).report()


@pytest.mark.parametrize("seed", FOUND, ids=lambda seed: f"seed {seed}")
def test_what_was_found_once_stays_mended(seed: int) -> None:
    run = convergence.run(seed)
    assert run.error is None, f"{FOUND[seed]}: {run.error}"


def test_a_world_with_replicas_is_the_same_twice() -> None:
    assert convergence.run(3).digest == convergence.run(3).digest
