"""A scenario in which more senders speak to one agent than it has in memory, and speak again.

Memory, runs and pages are so small that a few commands cross each limit, and what was delivered
once is delivered again at any delay, as if no server remembered its message id.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from typing import Any

import msgspec

from moonlet.agents import AgentType, Client, Decision, Rejected, Reply, Send
from moonlet.agents.answering import old_outcomes, owner_service
from moonlet.agents.deciding import known
from moonlet.agents.recovery import past_keeper, snapshot_policy
from moonlet.core import fold
from moonlet.core.commit import Commit
from moonlet.core.envelope import Envelope
from moonlet.core.errors import LimitExceeded, MoonletError
from moonlet.core.ids import AgentId
from moonlet.core.memory import past, runs, windows
from moonlet.simulations import faults
from moonlet.simulations.scenario import Scenario
from moonlet.simulations.seed import Dice
from moonlet.simulations.world import World
from moonlet.streams import encode_envelope
from moonlet.streams.journal import pasts
from tests.simulations.workshop import small_limits

SENDERS = 9
ROUNDS = 10
HUB = "hub/a"


class Count(msgspec.Struct, frozen=True):
    """One more."""


class Pass(msgspec.Struct, frozen=True):
    """Have the hub count one more."""


class Counted(msgspec.Struct, frozen=True):
    """One more."""


class Passed(msgspec.Struct, frozen=True):
    """The hub was told."""


class Counts(msgspec.Struct, frozen=True):
    """How many."""

    count: int = 0


hub = AgentType("hub", Counts, partitions=1)
node = AgentType("node", Counts, partitions=1)


@hub.on_command
def count(state: Counts, command: Count) -> Decision:
    """Always."""
    yield Counted()
    yield Reply(state.count + 1)


@hub.on_event
def counted(state: Counts, event: Counted) -> Counts:
    """One more."""
    return Counts(state.count + 1)


@node.on_command
def pass_on(state: Counts, command: Pass) -> Decision:
    """Tell the hub."""
    if state.count > ROUNDS:
        raise Rejected("enough")
    yield Passed()
    yield Send(HUB, Count())


@node.on_event
def passed(state: Counts, event: Passed) -> Counts:
    """One more."""
    return Counts(state.count + 1)


SMALL: tuple[tuple[Any, str, Any], ...] = (
    (windows, "SENDERS", 4),
    (fold, "IDS", 3),
    (past, "SPILL", 3),
    (past, "RECALLED_MAX", 3),
    (past, "PRINTS_MAX", 24),
    (runs, "PAGE_FACTS", 3),
    (runs, "PAGE_BYTES", 60),
    (past_keeper, "FANOUT", 2),
    (known, "LOOK_UPS", 1),
    (owner_service, "LOOK_UPS", 1),
    (old_outcomes, "SOUGHT_MAX", 2),
    (pasts, "AT_ONCE", 1),
    (pasts, "INDEX_PAGES", 2),
    (snapshot_policy, "SNAPSHOT_EVERY", 5),
)
"""Limits in this scenario, beside those of the workshop."""


async def speak(world: World, dice: Dice, lasting: list[Client]) -> None:
    """Sessions that each tell a little, nodes that pass on, ids of a caller's own.

    A few sessions last, and are heard again when they have left memory.
    """
    for round in range(ROUNDS):
        await told(dice.pick(tuple(lasting)).tell(HUB, Count()))
        async with world.client() as moon:
            calls = [moon.tell(f"node/n{dice.below(SENDERS)}", Pass()) for _ in range(3)]
            calls += [moon.tell(HUB, Count()) for _ in range(dice.between(1, 3))]
            calls.append(moon.tell(HUB, Count(), id=f"own-{dice.below(3 * round + 2)}"))
            await asyncio.gather(*map(told, calls))
            await repeat(world, moon, dice)
        await asyncio.sleep(dice.between(10, 600) / 1_000)


async def told(call: Awaitable[object]) -> None:
    """It is stored, or refused since the server has no room: then nothing came of it."""
    with suppress(LimitExceeded):
        await call


async def repeat(world: World, moon: Client, dice: Dice) -> None:
    """Of what the hub has committed some is delivered again."""
    history = world.chronicle.histories.get(HUB)
    if history is None:
        return
    for _ in range(3):
        commit: Commit[Any] = dice.pick(tuple(history.commits))
        command = commit.command
        envelope = Envelope(
            id=command.id,
            agent=HUB,
            name=command.name,
            body=msgspec.Raw(b"{}"),
            lane=command.lane,
            sender=command.sender,
            number=command.number,
        )
        payload, headers = encode_envelope(envelope, "json", moon.bus.command_limit)
        agent = AgentId.parse(HUB)
        try:
            subject = moon.bus.subjects.internal(
                agent, command.lane, await moon.registry.home(agent.type)
            )
            await moon.bus.publish(subject, payload, headers=headers, timeout=5.0)
        except MoonletError:
            continue


async def meet(world: World) -> None:
    """All that was told counts once."""
    with small_limits(SMALL):
        async with world.client() as one, world.client() as other:
            await speak(world, world.seed.dice("hub"), [one, other])
        await world.settle()
        counted = (await world.states("hub"))["a"].count
        assert counted == len(world.chronicle.histories[HUB].commits)


hubs = Scenario(
    name=f"{__name__}:hubs", body=meet, agents=(hub, node), faults=faults.all(), horizon="10s"
)

resting = Scenario(
    name=f"{__name__}:resting",
    body=meet,
    agents=(hub, node),
    faults=faults.only("forget_agents", "crash", "drop_reply", "delay_request", "hold", "buggify"),
    hosts=2,
    horizon="10s",
)
