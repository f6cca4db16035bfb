"""A simulation that finds a planted bug: work that is done twice when a host dies at a bad moment.

`on_perform` runs at least once. The handler below pays without looking whether it has paid for this
call before, which no ordinary test would show. Here every seed is a world of its own, in which
hosts crash and messages are lost; the first one in which a customer pays twice is shrunk to the
few faults that it takes, and kept in a file that replays it, today or in a year.
"""

import asyncio
import sys

from msgspec import Struct

from moonlet.agents import AgentType, Decision, Perform
from moonlet.simulations import World, faults, simulate

PAID: list[str] = []  # the payment provider's book: it stands outside of all hosts
CAREFUL = "--careful" in sys.argv


class Buy(Struct, frozen=True): ...


class Pay(Struct, frozen=True): ...


class Paid(Struct, frozen=True): ...


class Bought(Struct, frozen=True): ...


class Basket(Struct, frozen=True):
    bought: int = 0


basket = AgentType("basket", Basket)


@basket.on_command
def buy(state: Basket, command: Buy) -> Decision:
    yield Perform(Pay())


@basket.on_perform
async def pay(call: Pay, call_id: str) -> Paid:
    if CAREFUL and call_id in PAID:
        return Paid()
    PAID.append(call_id)  # the planted bug: a call that runs again pays again
    await asyncio.sleep(0.2)
    return Paid()


@basket.on_command
def paid(state: Basket, command: Paid) -> Decision:
    yield Bought()


@basket.on_event
def bought(state: Basket, event: Bought) -> Basket:
    return Basket(state.bought + 1)


@simulate(seeds=30, agents=[basket], hosts=2, faults=faults.only("crash"), horizon="2s")
async def test_everything_is_paid_once(world: World) -> None:
    PAID.clear()
    async with world.client() as moon:
        for number in range(3):
            await moon.tell(f"basket/b{number}", Buy())
            await world.advance("500ms")
    await world.settle()
    assert len(PAID) == len(set(PAID)), "a call was paid twice"


if __name__ == "__main__":
    try:
        test_everything_is_paid_once()
    except AssertionError as failed:
        print(failed)
    else:
        print("nothing was paid twice")
