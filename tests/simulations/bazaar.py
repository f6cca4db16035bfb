"""A scenario that uses all that agents can do at once: two types, sends in lanes and to oneself,
timers set, replaced and cancelled, calls, topics, handlers that fail, queries and asking again."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable

import msgspec

from moonlet.agents import (
    AgentType,
    Cancel,
    Client,
    Decision,
    Host,
    Perform,
    Publish,
    Rejected,
    Reply,
    Schedule,
    Send,
)
from moonlet.core.errors import MoonletError
from moonlet.core.ids import Lane
from moonlet.simulations import Scenario, World, faults
from tests.simulations.workshop import small_limits

LANES: tuple[Lane, ...] = ("critical", "high", "medium", "low")
STALLS = [f"stall/s{n}" for n in range(4)]
BANKS = ["bank/b0", "bank/b1"]
STOCK = 50
ROUNDS = 12


class Give(msgspec.Struct, frozen=True):
    to: str
    amount: int
    lane: Lane


class Take(msgspec.Struct, frozen=True):
    amount: int


class Pass(msgspec.Struct, frozen=True):
    """Goes along `path`, the agents that it has still to visit."""

    path: list[str]


class Remind(msgspec.Struct, frozen=True):
    name: str
    after: float


class Reminded(msgspec.Struct, frozen=True):
    name: str


class Forget(msgspec.Struct, frozen=True):
    name: str


class Look(msgspec.Struct, frozen=True):
    """Ask the outside world."""

    number: int


class Price(msgspec.Struct, frozen=True):
    """A call's work."""

    number: int


class Priced(msgspec.Struct, frozen=True):
    number: int
    price: int


class Stumble(msgspec.Struct, frozen=True):
    pass


class Gave(msgspec.Struct, frozen=True):
    amount: int


class Took(msgspec.Struct, frozen=True):
    amount: int


class Noted(msgspec.Struct, frozen=True):
    what: str


class GetCount(msgspec.Struct, frozen=True):
    pass


class Stall(msgspec.Struct, frozen=True):
    stock: int = STOCK
    count: int = 0
    notes: dict[str, int] = {}


def stall_type(name: str, partitions: int) -> AgentType[Stall]:
    stall = AgentType(name, Stall, partitions=partitions)
    add_events(stall)

    @stall.on_command
    def give(state: Stall, command: Give) -> Decision:
        if command.amount > state.stock:
            raise Rejected(f"only {state.stock} left")
        yield Gave(command.amount)
        yield Send(command.to, Take(command.amount), lane=command.lane)
        yield Reply(state.count + 1)

    @stall.on_command
    def take(state: Stall, command: Take) -> Decision:
        yield Took(command.amount)
        yield Publish("taken", {"amount": command.amount})

    @stall.on_command
    def go_on(state: Stall, command: Pass) -> Decision:
        yield Noted("pass")
        if command.path:
            yield Send(command.path[0], Pass(command.path[1:]))

    @stall.on_command
    def remind(state: Stall, command: Remind) -> Decision:
        yield Noted("remind")
        yield Schedule(Reminded(command.name), after=command.after, name=command.name)

    @stall.on_command
    def reminded(state: Stall, command: Reminded) -> Decision:
        yield Noted("reminded")

    @stall.on_command
    def forget(state: Stall, command: Forget) -> Decision:
        yield Noted("forget")
        yield Cancel(command.name)

    @stall.on_command
    def look(state: Stall, command: Look) -> Decision:
        yield Noted("look")
        yield Perform(Price(command.number))

    @stall.on_perform
    async def price(call: Price) -> Priced:
        await asyncio.sleep(0.3)
        return Priced(call.number, call.number * 2)

    @stall.on_command
    def priced(state: Stall, command: Priced) -> Decision:
        yield Noted("priced")

    @stall.on_command
    def stumble(state: Stall, command: Stumble) -> Decision:
        raise ValueError("as asked")

    @stall.on_query
    def get_count(state: Stall, query: GetCount) -> int:
        return state.count

    return stall


def add_events(stall: AgentType[Stall]) -> None:
    @stall.on_event
    def gave(state: Stall, event: Gave) -> Stall:
        return msgspec.structs.replace(
            state, stock=state.stock - event.amount, count=state.count + 1
        )

    @stall.on_event
    def took(state: Stall, event: Took) -> Stall:
        return msgspec.structs.replace(
            state, stock=state.stock + event.amount, count=state.count + 1
        )

    @stall.on_event
    def noted(state: Stall, event: Noted) -> Stall:
        notes = {**state.notes, event.what: state.notes.get(event.what, 0) + 1}
        return msgspec.structs.replace(state, notes=notes, count=state.count + 1)


STALL = stall_type("stall", 3)
BANK = stall_type("bank", 1)
POOLED = (stall_type("stall", 3), stall_type("bank", 3))
"""The same, with as many partitions each, so that they share a pool."""


async def customer(world: World, moon: Client, name: str, asked: dict[str, int]) -> None:
    """One client's commands, drawn from the seed; `asked` counts what must be noted."""
    dice = world.seed.dice(name)
    everyone = STALLS + BANKS
    for number in range(ROUNDS):
        agent = dice.pick(everyone)
        what = dice.pick(("give", "give", "ask", "pass", "remind", "forget", "look", "stumble"))
        if what == "give":
            others = [other for other in everyone if other != agent]
            command = Give(dice.pick(others), dice.between(1, 20), dice.pick(LANES))
            await moon.tell(agent, command, lane=dice.pick(LANES))
        elif what == "ask":
            command = Give(agent, 1, dice.pick(LANES))
            id = f"{name}-{number}"
            try:
                first = await moon.ask(agent, command, id=id)
                assert await moon.ask(agent, command, id=id) == first
                assert await moon.query(agent, GetCount()) >= first
            except Rejected:
                pass
        elif what == "pass":
            path = [dice.pick(everyone) for _ in range(dice.between(0, 5))]
            asked["pass"] += 1 + len(path)
            await moon.tell(agent, Pass(path))
        elif what == "remind":
            asked["remind"] += 1
            await moon.tell(agent, Remind(dice.pick("xy"), dice.between(1, 30) / 10))
        elif what == "forget":
            await moon.tell(agent, Forget(dice.pick("xy")))
        elif what == "look":
            asked["look"] += 1
            await moon.tell(agent, Look(number))
        else:
            await moon.tell(agent, Stumble())
        await asyncio.sleep(dice.between(0, 900) / 1_000)


Beside = Callable[[World, Client], contextlib.AbstractAsyncContextManager[None]]


def undisturbed(world: World, moon: Client) -> contextlib.AbstractAsyncContextManager[None]:
    """Nothing happens beside the customers."""
    return contextlib.nullcontext()


async def order(moon: Client, agent: str, verb: str) -> None:
    """Order it until its owner has heard."""
    while True:
        try:
            await moon.order(agent, verb)
            return
        except MoonletError:
            await asyncio.sleep(0.2)


@contextlib.asynccontextmanager
async def operated(world: World, moon: Client) -> AsyncGenerator[None]:
    """Agents are stopped and started, by chance, until the end; then all are started."""
    dice = world.seed.dice("operator")

    async def operate() -> None:
        while True:
            await order(moon, dice.pick(STALLS + BANKS), dice.pick(("stop", "start")))
            await asyncio.sleep(dice.between(0, 600) / 1_000)

    operator = asyncio.create_task(operate())
    try:
        yield
    finally:
        operator.cancel()
        await asyncio.wait([operator])
        for agent in STALLS + BANKS:
            await order(moon, agent, "start")


async def operated_bazaar(world: World) -> None:
    """The same with an operator, whom customers that ask must wait for."""
    with small_limits():
        await bazaar(world, operated)


@contextlib.asynccontextmanager
async def visited(world: World, moon: Client) -> AsyncGenerator[None]:
    """Hosts that run one of the two types come and go, so slots are split and joined again."""
    dice = world.seed.dice("visitors")

    async def visit() -> None:
        while True:
            try:
                async with world.client() as own, Host(own, [dice.pick(POOLED)], lease=2):
                    await asyncio.sleep(dice.between(200, 3_000) / 1_000)
            except MoonletError:
                await asyncio.sleep(0.2)

    visitors = [asyncio.create_task(visit()) for _ in range(2)]
    try:
        yield
    finally:
        for visitor in visitors:
            visitor.cancel()
        await asyncio.wait(visitors)


async def visited_bazaar(world: World) -> None:
    """The same, where hosts of a part of the types come and go."""
    with small_limits():
        await bazaar(world, visited)


async def bazaar(world: World, beside: Beside = undisturbed) -> None:
    """Three customers at once, and what happens `beside`; then everything must add up."""
    asked = {"pass": 0, "remind": 0, "look": 0}
    world.always("no debts", lambda states: all(s.stock >= 0 for s in states.values()))
    async with world.client() as one, world.client() as two:
        async with beside(world, two), asyncio.TaskGroup() as group:
            for name, moon in (("ann", one), ("bob", two), ("cem", two)):
                group.create_task(customer(world, moon, name, asked))
        await world.settle()
        await world.advance("10s")
        await world.settle()
    if innocents_parked(world):
        return  # hosts died by chance while one and the same command was noted: sums say nothing
    states = {**await world.states("stall"), **await world.states("bank")}
    assert sum(state.stock - STOCK for state in states.values()) == 0
    notes = {
        what: sum(state.notes.get(what, 0) for state in states.values())
        for what in ("pass", "remind", "look", "priced", "reminded")
    }
    assert notes["pass"] == asked["pass"]
    assert notes["remind"] == asked["remind"] >= notes["reminded"]
    assert notes["look"] == notes["priced"] == asked["look"], (notes, asked)


def innocents_parked(world: World) -> list[str]:
    """The commands that were parked because three hosts in a row died while they were noted."""
    return [
        commit.command.id
        for history in world.chronicle.histories.values()
        for commit in history.commits
        if commit.outcome == "parked" and "three hosts" in commit.reason
    ]


scenario = Scenario(
    name="tests.simulations.bazaar:scenario",
    body=bazaar,
    agents=(STALL, BANK),
    faults=faults.all(),
    horizon="12s",
    journals={"stalls": ["stall"], "banks": ["bank"]},
)

operation = msgspec.structs.replace(
    scenario,
    name="tests.simulations.bazaar:operation",
    body=operated_bazaar,
    # A command that is sent twice may be refused once and stored once: the customer sends another.
    faults=faults.only(*(kind for kind in faults.all().kinds if kind != "duplicate_request")),
)

visits = msgspec.structs.replace(
    scenario, name="tests.simulations.bazaar:visits", body=visited_bazaar, agents=POOLED
)
