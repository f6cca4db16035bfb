"""Worlds in which hosts of one type run different code, as they do while a deploy goes on."""

from moonlet.agents import Client
from moonlet.simulations import Scenario, World, faults
from tests.agents.test_versions import Add, Double, adder, grown

OLD, NEW = (adder("1.9"),), (grown("1.10"),)
KEYS = tuple(f"adder/{n}" for n in range(6))
ROUNDS = 3


async def mixed(world: World) -> None:
    """One of three hosts has newer code, leaves in the middle, and comes again."""
    for host in ("h1", "h2"):
        world.deploy(host, OLD)
    await world.advance("10s")
    async with world.client() as moon:
        for _ in range(ROUNDS):
            await told(moon)
        world.crash("h3")  # agents that have its events wait, the others go on
        for key in KEYS:
            await moon.tell(key, Add(1))
        await world.advance("20s")
        world.restart("h3")
        await told(moon)
    for host in ("h1", "h2"):
        world.deploy(host, NEW)
    await world.settle()
    commits = [c for history in world.chronicle.histories.values() for c in history.commits]
    assert len(commits) == len(KEYS) * (2 * (ROUNDS + 1) + 1)
    assert [c.reason for c in commits if c.outcome != "accepted"] == []


async def told(moon: Client) -> None:
    """Something that all code knows, and something that only the newer does."""
    for key in KEYS:
        await moon.ask(key, Add(1))
        await moon.tell(key, Double())


async def rolled(world: World) -> None:
    """Hosts get newer and older code at any time, under whatever faults there are."""
    dice = world.seed.dice("deploys")
    async with world.client() as moon:
        for _ in range(ROUNDS):
            for key in KEYS:
                await moon.tell(key, Double() if dice.below(3) == 0 else Add(1))
            for host in world.hosts:
                if dice.below(2):
                    world.deploy(host, dice.pick((OLD, NEW)))
            await world.advance("4s")
    for host in world.hosts:
        world.deploy(host, NEW)
    await world.settle()
    for history in world.chronicle.histories.values():
        for commit in history.commits:
            rejected = commit.command.name == "Double" and commit.error == "UnknownCommand"
            assert rejected or commit.outcome == "accepted", commit


deploys = Scenario(
    name=f"{__name__}:deploys",
    body=rolled,
    agents=NEW,
    faults=faults.all(),
    hosts=3,
    horizon="30s",
)
