"""Handlers as long steps: over the limit they cost one host, once, and nobody else's promises."""

import asyncio

import pytest

from moonlet.agents.owner.blocked_agents import BlockedAgents
from moonlet.core.errors import Unknown
from moonlet.simulations import World, faults
from moonlet.simulations.scenario import Scenario
from tests.agents.accounts import Deposit
from tests.simulations.worlds import ACCOUNT

SEEDS = 12

KEYS = [f"account/{n}" for n in range(6)]


async def deposits(world: World) -> None:
    """Clients that ask each account in turn, whatever becomes of each command."""

    async def ask(name: str) -> None:
        async with world.client() as moon:
            for n in range(14):
                for key in KEYS[:3]:
                    await moon.tell(key, Deposit(1), id=f"{name}-{n}-{key.replace('/', '-')}")
                await asyncio.sleep(0.8)

    await asyncio.gather(ask("a"), ask("b"))
    await world.settle()


def scenario(*kinds: str) -> Scenario:
    return Scenario(
        name=f"{__name__}:deposits",
        body=deposits,
        agents=(ACCOUNT,),
        faults=faults.only("block", *kinds),
        horizon="12s",
        replicas=(1,),
    )


ALONE = scenario()
AMONG = scenario("crash", "drain", "cut", "lose_ack", "delay_delivery", "forget_agents", "skew")


@pytest.mark.parametrize("world", [ALONE, AMONG], ids=["alone", "among others"])
def test_no_long_step_breaks_a_promise(world: Scenario) -> None:
    parked = 0
    for seed in range(SEEDS):
        run = world.run(seed)
        run.check()
        parked += run.reached.get("a command is parked since it blocked its host", 0)
    assert parked, "no seed crossed the limit"


def test_a_command_that_is_run_again_though_it_ended_a_host_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(BlockedAgents, "_take", lambda self, id, mark: None)
    found = [str(run.error) for run in map(ALONE.run, range(SEEDS)) if run.error is not None]
    assert any("P11 isolated" in error for error in found), found


async def one_agent_blocks(world: World) -> None:
    """Its neighbours are run by others as soon as the lease is over, and it is parked."""
    async with world.client() as moon:
        for key in KEYS:
            await moon.ask(key, Deposit(1))
        for host in world.hosts:
            world.block(host, "9s")
        receipt = await moon.tell(KEYS[0], Deposit(1))
        await asyncio.sleep(0.2)
        world.blocks._armed.clear()
        for key in KEYS[1:]:
            assert await moon.ask(key, Deposit(1), timeout=8) == 2
        commit = await receipt.committed()
        assert (commit.outcome, "2 s" in commit.reason) == ("parked", True)
        assert await moon.ask(KEYS[0], Deposit(1)) == 2
    await world.settle()


def test_neighbours_of_an_agent_that_blocks_are_taken_over() -> None:
    directed = Scenario(
        name=f"{__name__}:one_agent_blocks",
        body=one_agent_blocks,
        agents=(ACCOUNT,),
        faults=faults.none(),
        horizon="60s",
        replicas=(1,),
    )
    directed.run(1).check()


async def a_short_step(world: World) -> None:
    """Longer than half a lease: marked, and the mark is taken away; nothing is parked."""
    async with world.client() as moon:
        await moon.ask(KEYS[0], Deposit(1))
        for host in world.hosts:
            world.block(host, "1500ms")
        with pytest.raises(Unknown):
            await moon.ask(KEYS[0], Deposit(1), id="long", timeout=0.5)
        assert await moon.ask(KEYS[0], Deposit(1), id="long") == 2
    await world.settle()


def test_what_ends_in_time_is_not_parked() -> None:
    directed = Scenario(
        name=f"{__name__}:a_short_step",
        body=a_short_step,
        agents=(ACCOUNT,),
        faults=faults.none(),
        horizon="60s",
        replicas=(1,),
    )
    directed.run(1).check()
