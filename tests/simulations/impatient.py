"""A scenario of customers without patience: deadlines, short timeouts, many commands at once.

What a client said of a command is held against what became of it: `Unknown` names whether it was
stored, a full mailbox says that it was not, and a receipt that it was.
"""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import msgspec

from moonlet.agents import Client
from moonlet.core.errors import Expired, LimitExceeded, Rejected, Unavailable, Unknown
from moonlet.simulations import Dice, Scenario, World
from tests.simulations.bazaar import (
    BANKS,
    LANES,
    STALLS,
    STOCK,
    Give,
    Look,
    Pass,
    innocents_parked,
    operation,
)
from tests.simulations.workshop import small_limits

ROUNDS = 16
TIMEOUTS = (0.02, 0.1, 0.5, 2.0, 5.0)
DEADLINES = (1, 50, 300, 2_000, 20_000)
"""Milliseconds from now, by the client's clock, which faults leave alone."""


class Claim(NamedTuple):
    """What was said of a command: whether it is `stored`, 'yes', 'no' or 'maybe'."""

    agent: str
    id: str
    stored: str
    said_by: str


def command(dice: Dice, agent: str, number: int) -> Any:
    """One of three kinds."""
    others = [other for other in STALLS + BANKS if other != agent]
    give = Give(dice.pick(others), dice.between(1, 20), dice.pick(LANES))
    return dice.pick((give, Look(number), Pass([])))


async def one(world: World, moon: Client, name: str, number: int) -> Claim | None:
    """One command, told or asked, and what was said of it."""
    dice = world.seed.dice(f"{name}-{number}")
    agent = dice.pick(STALLS + BANKS)
    now = datetime.fromtimestamp(moon.bus.clock.now_us() / 1_000_000, UTC)
    options: dict[str, Any] = {"timeout": dice.pick(TIMEOUTS), "lane": dice.pick(LANES)}
    if dice.below(2):
        options["deadline"] = now + timedelta(milliseconds=dice.pick(DEADLINES))
    id = f"{name}-{number}" if dice.below(2) else ""
    if id:
        options["id"] = id
    try:
        if dice.below(3):
            receipt = await moon.tell(agent, command(dice, agent, number), **options)
            if dice.below(2):
                await receipt.committed(timeout=dice.pick(TIMEOUTS))
            return Claim(agent, receipt.id, "yes", "receipt")
        await moon.ask(agent, command(dice, agent, number), **options)
        return Claim(agent, id, "yes", "answer")
    except (Rejected, Expired):
        return Claim(agent, id, "yes", "refusal")
    except Unknown as error:
        return Claim(agent, error.command_id, error.stored, "Unknown")
    except LimitExceeded:  # of the mailbox, or of the server
        return Claim(agent, id, "no", "LimitExceeded")
    except Unavailable:
        return None


async def customer(world: World, moon: Client, name: str) -> list[Claim]:
    """Several commands at a time, and a while between."""
    dice = world.seed.dice(name)
    claims: list[Claim | None] = []
    for round in range(ROUNDS):
        numbers = range(10 * round, 10 * round + dice.between(1, 4))
        claims += await asyncio.gather(*(one(world, moon, name, number) for number in numbers))
        await asyncio.sleep(dice.between(0, 600) / 1_000)
    return [claim for claim in claims if claim is not None and claim.id]


async def hurry(world: World) -> None:
    """Three customers at once; then what was claimed must be so, and nothing be lost or made."""
    world.always("no debts", lambda states: all(s.stock >= 0 for s in states.values()))
    with small_limits():
        async with world.client() as first, world.client() as second:
            found = await asyncio.gather(
                customer(world, first, "ann"),
                customer(world, second, "bob"),
                customer(world, second, "cem"),
            )
            await world.settle()
    ended = {
        (history.agent, commit.command.id)
        for history in world.chronicle.histories.values()
        for commit in history.commits
    }
    for claim in (claim for claims in found for claim in claims):
        if claim.stored != "maybe":
            assert ((claim.agent, claim.id) in ended) == (claim.stored == "yes"), claim
    if not innocents_parked(world):
        states = {**await world.states("stall"), **await world.states("bank")}
        assert sum(state.stock - STOCK for state in states.values()) == 0


impatient: Scenario = msgspec.structs.replace(
    operation, name="tests.simulations.impatient:impatient", body=hurry
)
