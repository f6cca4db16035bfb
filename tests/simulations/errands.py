"""A scenario of calls outside: they fail, hang, are tried again, more of them than may run at once.

Between them timers are set at the edges of time.
"""

import asyncio
import random
from datetime import UTC, datetime

import msgspec

from moonlet.agents import AgentType, Client, Context, Decision, Perform, PerformFailed, Schedule
from moonlet.agents.calls import call_runner
from moonlet.simulations import Scenario, World, faults
from moonlet.simulations.seed import Dice
from tests.simulations.pressing import Limits, pressed

PRESSED: Limits = ((call_runner, "HOST_CALLS_MAX", 3),)
"""Limits in this scenario: at their own values a run would have to be much longer."""

CLERKS = 4
ROUNDS = 5
BURST = 6
HOWS = ("well", "flaky", "wrong", "hangs", "mute", "nothing")
EDGES = (datetime.max.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC))


class Run(msgspec.Struct, frozen=True):
    """Have an errand run; `edge`: and set a timer at that edge of time."""

    how: str
    edge: int


class Errand(msgspec.Struct, frozen=True):
    """The call."""

    how: str


class Back(msgspec.Struct, frozen=True):
    """Its result."""

    how: str


class Rung(msgspec.Struct, frozen=True):
    """A timer's firing."""

    edge: int


class Sent(msgspec.Struct, frozen=True):
    """An errand is under way."""

    edge: int


class Came(msgspec.Struct, frozen=True):
    """An errand has ended: how, or why not."""

    how: str
    kind: str = ""
    attempts: int = 0


class Clerk(msgspec.Struct, frozen=True):
    """What has been sent out, and what came of it."""

    sent: int = 0
    came: tuple[Came, ...] = ()
    past: int = 0
    rung: int = 0


clerk = AgentType("clerk", Clerk, partitions=1, max_calls=2)


@clerk.on_command
def run(state: Clerk, command: Run, context: Context) -> Decision:
    """Two effects, which go out side by side."""
    yield Sent(command.edge)
    yield Perform(Errand(command.how))
    yield Schedule(Rung(command.edge), at=EDGES[command.edge], name=f"edge{context.revision}")


@clerk.on_perform(attempts=3, retry_on=OSError, attempt_timeout=1.0, timeout=4.0, wait=0.02)
async def errand(call: Errand) -> Back:
    """It takes a moment, and chance has a part in it."""
    await asyncio.sleep(random.uniform(0.0, 0.3))
    match call.how:
        case "flaky":
            if random.random() < 0.5:
                raise ConnectionError("try again")
        case "wrong":
            raise ValueError("\ud800")
        case "hangs":
            await asyncio.sleep(3_600)
        case "mute":
            raise asyncio.CancelledError
        case "nothing":
            return None  # type: ignore[return-value]
    return Back(call.how)


@clerk.on_command
def back(state: Clerk, command: Back) -> Decision:
    """It went well."""
    yield Came(command.how)


@clerk.on_command
def failed(state: Clerk, command: PerformFailed) -> Decision:
    """It didn't, and says of which errand that is."""
    assert isinstance(command.call, Errand)
    yield Came(command.call.how, command.cause.kind, command.attempts)


@clerk.on_command
def rung(state: Clerk, command: Rung) -> Decision:
    """A timer of the past; one of the year 9999 never fires."""
    yield command


@clerk.on_event
def sent(state: Clerk, event: Sent) -> Clerk:
    """One more."""
    return msgspec.structs.replace(state, sent=state.sent + 1, past=state.past + event.edge)


@clerk.on_event
def came(state: Clerk, event: Came) -> Clerk:
    """One more."""
    return msgspec.structs.replace(state, came=(*state.came, event))


@clerk.on_event
def rang(state: Clerk, event: Rung) -> Clerk:
    """One more; it must be of the past."""
    assert event.edge == 1
    return msgspec.structs.replace(state, rung=state.rung + 1)


async def send_out(moon: Client, dice: Dice) -> None:
    """Bursts of errands."""
    for _ in range(ROUNDS):
        calls = []
        for _ in range(BURST):
            command = Run(dice.pick(HOWS), dice.below(2))
            calls.append(moon.tell(f"clerk/c{dice.below(CLERKS)}", command))
        await asyncio.gather(*calls)
        await asyncio.sleep(dice.between(10, 900) / 1_000)


EXPECTED = {
    "well": {("", 0)},
    "flaky": {("", 0), ("raised", 3)},
    "wrong": {("raised", 1)},
    "hangs": {("timeout", 3)},
    "mute": {("cancelled", 1)},
    "nothing": {("bad result", 1)},
}


async def errands_body(world: World) -> None:
    """Each errand ends once, as it must; each timer of the past fires once, no other."""
    with pressed(PRESSED):
        async with world.client() as moon:
            await send_out(moon, world.seed.dice("errands"))
        await world.settle()
        for name, state in (await world.states("clerk")).items():
            assert len(state.came) == state.sent, f"{name} sent {state.sent}: {state.came}"
            assert state.rung == state.past, f"{name}: {state.rung} timers fired of {state.past}"
            for ended in state.came:
                as_it_must = (ended.kind, ended.attempts) in EXPECTED[ended.how]
                # A process that is paused may let the time of an attempt, or of all, go by.
                assert as_it_must or ended.kind == "timeout", f"{name}: {ended}"


errands = Scenario(
    name=f"{__name__}:errands",
    body=errands_body,
    agents=(clerk,),
    faults=faults.all(),
    horizon="6s",
)


async def clocks_body(world: World) -> None:
    """Each host's clock is somewhere else, and jumps while it runs."""
    dice = world.seed.dice("clocks")

    def move() -> None:
        for host in world.hosts:
            world.skew(host, f"{dice.pick((-10_800, -15, 0, 2, 15, 10_800))}s")

    move()
    asyncio.get_running_loop().call_later(3.0, move)
    await errands_body(world)


clocks = Scenario(
    name=f"{__name__}:clocks",
    body=clocks_body,
    agents=(clerk,),
    faults=faults.only("skew", "drift", "crash", "pause", "partition", "drain"),
    horizon="6s",
)
"""The same with wrong clocks, hours off, and what makes their hosts begin again."""
