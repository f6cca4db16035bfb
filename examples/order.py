"""An order, its payment, and what is given back when the payment fails: a saga.

Shows `Perform` (work outside, done after the commit, its result a command), `PerformFailed`, and
compensation. Each step is a command and a record, so a crash anywhere goes on where these end.
"""

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory

from msgspec import Struct
from msgspec.structs import replace

from moonlet.agents import (
    AgentType,
    Context,
    Decision,
    Host,
    Perform,
    PerformFailed,
    Rejected,
    Send,
    connect,
)


class PlaceOrder(Struct, frozen=True):
    item: str
    price: int
    card: str


class Reserve(Struct, frozen=True): ...


class Reserved(Struct, frozen=True): ...


class Release(Struct, frozen=True): ...


class Charge(Struct, frozen=True):
    card: str
    price: int


class Paid(Struct, frozen=True):
    receipt: str


class Placed(Struct, frozen=True):
    order: PlaceOrder


class Went(Struct, frozen=True):
    to: str


class Order(Struct, frozen=True):
    placed: PlaceOrder = PlaceOrder("", 0, "")
    status: str = "new"


class Taken(Struct, frozen=True):
    pieces: int


class Stock(Struct, frozen=True):
    free: int = 5


order, stock = AgentType("order", Order), AgentType("stock", Stock)


@order.on_command
def place(state: Order, command: PlaceOrder) -> Decision:
    yield Placed(command)
    yield Send(f"stock/{command.item}", Reserve())


@stock.on_command
def reserve(state: Stock, command: Reserve, context: Context) -> Decision:
    if not state.free:
        raise Rejected("sold out")
    yield Taken(1)
    yield Send(context.sender, Reserved())


@order.on_command
def reserved(state: Order, command: Reserved) -> Decision:
    yield Went("reserved")
    yield Perform(Charge(state.placed.card, state.placed.price))


@order.on_perform
async def charge(call: Charge, call_id: str) -> Paid:
    """Asks a payment provider, who knows a repeated call by its `call_id`."""
    if call.card == "expired":
        raise ValueError("the card has expired")
    return Paid(f"receipt for {call.price}")


@order.on_command
def paid(state: Order, command: Paid) -> Decision:
    yield Went(f"paid, {command.receipt}")


@order.on_command
def not_paid(state: Order, command: PerformFailed) -> Decision:
    yield Went(f"cancelled, {command.error}")
    yield Send(f"stock/{state.placed.item}", Release())  # the compensation


@stock.on_command
def release(state: Stock, command: Release) -> Decision:
    yield Taken(-1)


@order.on_event
def placed(state: Order, event: Placed) -> Order:
    return Order(event.order, "placed")


@order.on_event
def went(state: Order, event: Went) -> Order:
    return replace(state, status=event.to)


@stock.on_event
def taken(state: Stock, event: Taken) -> Stock:
    return Stock(state.free - event.pieces)


async def main(folder: Path) -> None:
    """Two orders, of which one is paid; follow them, and the stock."""
    async with connect(folder=folder) as moon, Host(moon, [order, stock]):
        for name, card in (("order/o1", "good"), ("order/o2", "expired")):
            await moon.tell(name, PlaceOrder("lamp", 40, card))
            async for commit in moon.history(name, to=3, follow=True):
                state = await moon.state(name, revision=commit.revision)
                print(f"{name} {commit.command.name}: {state.status}")
        async for commit in moon.history("stock/lamp", to=3, follow=True):
            state = await moon.state("stock/lamp", revision=commit.revision)
            print(f"stock/lamp {commit.command.name}: {state.free} free")


if __name__ == "__main__":
    with TemporaryDirectory() as data:
        asyncio.run(main(Path(data)))
