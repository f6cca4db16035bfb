"""A scenario that uses all of the write path: bursts, lanes, sends, timers, calls, ids, snapshots.

The reference scenario is calm on purpose, since speed is measured on it. Here two clients press
three workers hard, so that chains, batches and snapshots happen within some seconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from moonlet.agents import (
    AgentType,
    Client,
    Decision,
    Perform,
    PerformFailed,
    Rejected,
    Reply,
    Schedule,
    Send,
)
from moonlet.agents.effects import outbox
from moonlet.agents.live import live_agent
from moonlet.agents.owner import feed
from moonlet.agents.recovery import snapshot_policy
from moonlet.core.ids import LANES
from moonlet.simulations import faults
from moonlet.simulations.jetstream.stream import expiry
from moonlet.simulations.scenario import Scenario
from moonlet.simulations.seed import Dice
from moonlet.simulations.world import World
from moonlet.streams.journal import marks, storage
from moonlet.streams.queues import messages
from moonlet.streams.reading import consumer
from moonlet.telemetry import repeats

WORKERS = 3
ROUNDS = 7
PIECES = 8
THEN = ("", "", "remind", "ask", "fail")
BURST = 14
BETWEEN = "700ms"


class Work(msgspec.Struct, frozen=True):
    """One piece; its number is told to `to`. `then` says what else it causes."""

    piece: int
    to: str
    lane: str = "medium"
    then: str = ""


class Spend(msgspec.Struct, frozen=True):
    """Take from what was worked; refused if there is not so much."""

    amount: int


class Tell(msgspec.Struct, frozen=True):
    """A worker tells another of a piece."""

    piece: int


class Remind(msgspec.Struct, frozen=True):
    """A timer's firing."""

    piece: int


class Price(msgspec.Struct, frozen=True):
    """A call to the outside."""

    piece: int


class Priced(msgspec.Struct, frozen=True):
    """What it says."""

    piece: int


class Worked(msgspec.Struct, frozen=True):
    """A piece is done; `asks` if a price was asked for."""

    piece: int
    asks: bool = False


class Spent(msgspec.Struct, frozen=True):
    """So much was taken."""

    amount: int


class Told(msgspec.Struct, frozen=True):
    """Another's piece became known."""

    piece: int


class Reminded(msgspec.Struct, frozen=True):
    """The timer fired."""

    piece: int


class Learned(msgspec.Struct, frozen=True):
    """A price came."""

    piece: int


class Worker(msgspec.Struct, frozen=True):
    """Counts of what happened, and sums of the pieces, so that none can stand for another."""

    pieces: int = 0
    worked: int = 0
    spent: int = 0
    told: int = 0
    reminded: int = 0
    asked: int = 0
    priced: int = 0


worker = AgentType("worker", Worker, partitions=1)


@worker.on_command
def work(state: Worker, command: Work) -> Decision:
    """Tell another of it, and set a timer or ask a price."""
    yield Worked(command.piece, command.then == "ask")
    yield Send(command.to, Tell(command.piece), lane=command.lane)  # type: ignore[arg-type]
    if command.then == "remind":
        yield Schedule(Remind(command.piece), after=0.8, name="reminder")
    elif command.then == "ask":
        yield Perform(Price(command.piece))
    elif command.then == "fail":
        raise ValueError("this piece can't be worked")
    yield Reply(state.pieces + 1)


@worker.on_command
def spend(state: Worker, command: Spend) -> Decision:
    """Only what there is."""
    if command.amount > state.worked - state.spent:
        raise Rejected("there is not so much")
    yield Spent(command.amount)


@worker.on_command
def tell(state: Worker, command: Tell) -> Decision:
    """Note it."""
    yield Told(command.piece)


@worker.on_command
def remind(state: Worker, command: Remind) -> Decision:
    """Note it."""
    yield Reminded(command.piece)


@worker.on_perform
async def price(call: Price) -> Priced:
    """It takes a moment."""
    await asyncio.sleep(0.3)
    return Priced(call.piece)


@worker.on_command
def priced(state: Worker, command: Priced) -> Decision:
    """Note it."""
    yield Learned(command.piece)


@worker.on_command
def failed(state: Worker, command: PerformFailed) -> Decision:
    """It never does."""
    raise Rejected(command.error)


@worker.on_event
def worked(state: Worker, event: Worked) -> Worker:
    """One more."""
    return msgspec.structs.replace(
        state,
        pieces=state.pieces + 1,
        worked=state.worked + event.piece,
        asked=state.asked + event.piece * event.asks,
    )


@worker.on_event
def spent(state: Worker, event: Spent) -> Worker:
    """Less by it."""
    return msgspec.structs.replace(state, spent=state.spent + event.amount)


@worker.on_event
def told(state: Worker, event: Told) -> Worker:
    """One more known."""
    return msgspec.structs.replace(state, told=state.told + event.piece)


@worker.on_event
def reminded(state: Worker, event: Reminded) -> Worker:
    """One more."""
    return msgspec.structs.replace(state, reminded=state.reminded + 1)


@worker.on_event
def learned(state: Worker, event: Learned) -> Worker:
    """One more."""
    return msgspec.structs.replace(state, priced=state.priced + event.piece)


SMALL: tuple[tuple[Any, str, Any], ...] = (
    (snapshot_policy, "SNAPSHOT_EVERY", 4),
    (snapshot_policy, "SNAPSHOT_AT_REST", 2),
    (live_agent, "CHAIN_MAX", 8),
    (live_agent, "QUEUE_MAX", 10),
    (live_agent, "COMMITS_MAX", 6),
    (outbox, "COMMITS_MAX", 6),
    (storage, "FAST", 0.000_4),
    (storage, "BATCH_FROM", 4),
    (storage, "BATCH_FROM_FAST", 7),
    (feed, "CREDIT", dict.fromkeys(LANES, 16)),
    (consumer, "UNCONFIRMED_MAX", 4),
    (messages, "RESULTS_MAX", 1),
    (marks, "WITNESSES", 1),
    (repeats, "KINDS_MAX", 2),
    (repeats, "ONCE_MAX", 1),
    (expiry, "ENDED_MAX", 1),
)
"""Limits in this scenario: at their own values a run would have to be much longer."""


@contextmanager
def small_limits(more: tuple[tuple[Any, str, Any], ...] = ()) -> Iterator[None]:
    """Let limits be reached within seconds, and `more` of them, and set them back."""
    small = (*SMALL, *more)
    before = [(module, name, getattr(module, name)) for module, name, _ in small]
    for module, name, value in small:
        setattr(module, name, value)
    try:
        yield
    finally:
        for module, name, value in reversed(before):
            setattr(module, name, value)


async def press(moon: Client, dice: Dice, first: int) -> None:
    """Bursts of commands, of which an agent may have several on their way."""
    names = [f"worker/w{number}" for number in range(WORKERS)]
    for round in range(ROUNDS):
        calls = []
        for place in range(BURST):
            piece = first + round * BURST + place + 1
            source, target = dice.sample(names, 2)
            lane = dice.pick(("medium", "medium", "medium", *LANES))
            then = dice.pick(("", "", "", "remind", "ask", "fail"))
            kind = dice.below(8)
            if kind == 0:
                calls.append(moon.tell(source, Spend(dice.between(1, 4_000))))
            elif kind == 1:
                command = Work(piece, target)
                calls += [moon.tell(source, command, id=f"own-{piece}") for _ in range(2)]
            else:
                calls.append(moon.tell(source, Work(piece, target, lane, then)))
        await asyncio.gather(*calls)
        await asyncio.sleep(dice.between(10, 900) / 1_000)


async def shop(world: World) -> None:
    """Two clients press the workers; in the end all that was worked is told and priced."""
    world.always(
        "nothing is spent twice", lambda states: all(s.spent <= s.worked for s in states.values())
    )
    with small_limits():
        async with world.client() as one, world.client() as other:
            await asyncio.gather(
                press(one, world.seed.dice("one"), 0),
                press(other, world.seed.dice("other"), 1_000),
            )
        await world.settle()
        workers = (await world.states("worker")).values()
        worked = sum(state.worked for state in workers)
        told = sum(state.told for state in workers) + parked(world, "Tell")
        assert told == worked, f"{worked} was worked, {told} was told"
        asked = sum(state.asked for state in workers)
        priced = sum(state.priced for state in workers) + parked(world, "Priced")
        assert priced == asked, f"{asked} was asked, {priced} was priced"


async def drip(world: World) -> None:
    """A few pieces on lanes of their own, then nothing: no later message shows what is lost."""
    dice = world.seed.dice("drip")
    names = [f"worker/w{number}" for number in range(WORKERS)]
    async with world.client() as moon:
        for piece in range(1, PIECES + 1):
            source, target = dice.sample(names, 2)
            there, back = dice.pick(LANES), dice.pick(LANES)
            await moon.tell(source, Work(piece, target, back, dice.pick(THEN)), lane=there)
            await world.advance(dice.between(0, 1_500) / 1_000)
        await world.advance("3s")
    await world.settle()
    workers = (await world.states("worker")).values()
    worked = sum(state.worked for state in workers)
    assert worked == sum(state.told for state in workers) + parked(world, "Tell")


def parked(world: World, name: str) -> int:
    """The pieces of commands that were parked: three hosts in a row died while they were noted."""
    return sum(
        msgspec.json.decode(commit.command.body)["piece"]
        for history in world.chronicle.histories.values()
        for commit in history.commits
        if commit.outcome == "parked" and commit.command.name == name
    )


workshop = Scenario(
    name=f"{__name__}:workshop", body=shop, agents=(worker,), faults=faults.all(), horizon="8s"
)

# The same with fewer kinds of faults, so that each has its chance in every seed.

zombies = Scenario(
    name=f"{__name__}:zombies",
    body=shop,
    agents=(worker,),
    faults=faults.only("hold", "pause", "partition_in", "delay_request", "drop_reply", "cut"),
    hosts=2,
    horizon="8s",
)

lossy = Scenario(
    name=f"{__name__}:lossy",
    body=shop,
    agents=(worker,),
    faults=faults.only(
        "drop_request",
        "duplicate_request",
        "lose_ack",
        "drop_reply",
        "drop_delivery",
        "forget_agents",
    ),
    hosts=2,
    horizon="8s",
)

trickle = Scenario(
    name=f"{__name__}:trickle",
    body=drip,
    agents=(worker,),
    faults=faults.only(
        "lose_ack", "drop_reply", "drop_delivery", "delay_delivery", "cut", "leader_change",
        "forget_acks", "buggify",
    ),
    hosts=2,
    horizon="20s",
)  # fmt: skip
