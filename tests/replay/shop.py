"""A second application to travel in: orders, stock and cards, with calls outside and timers.

An order reserves stock, has a card charged outside, and ships; or it is sold out, or overdue.
"""

from datetime import timedelta
from typing import Any

import msgspec

from moonlet.agents import (
    AgentType,
    Cancel,
    Context,
    Decision,
    Perform,
    PerformFailed,
    Rejected,
    Reply,
    Schedule,
    Send,
)

PATIENCE = timedelta(seconds=1)


class Place(msgspec.Struct, frozen=True):
    item: str
    count: int
    card: str


class Reserve(msgspec.Struct, frozen=True):
    count: int


class Reserved(msgspec.Struct, frozen=True):
    item: str
    count: int


class SoldOut(msgspec.Struct, frozen=True):
    item: str


class Charge(msgspec.Struct, frozen=True):
    card: str
    amount: int


class Charged(msgspec.Struct, frozen=True):
    receipt: str


class Deliver(msgspec.Struct, frozen=True):
    count: int


class Overdue(msgspec.Struct, frozen=True):
    pass


class Refill(msgspec.Struct, frozen=True):
    count: int


class Placed(msgspec.Struct, frozen=True):
    item: str
    count: int
    card: str


class Moved(msgspec.Struct, frozen=True):
    status: str
    receipt: str = ""


class Counted(msgspec.Struct, frozen=True):
    free: int
    held: int


class Order(msgspec.Struct, frozen=True):
    status: str = "new"
    item: str = ""
    count: int = 0
    card: str = ""
    receipt: str = ""
    steps: tuple[str, ...] = ()


class Stock(msgspec.Struct, frozen=True):
    free: int = 0
    held: int = 0


order = AgentType("order", Order)
stock = AgentType("stock", Stock)
TYPES: list[AgentType[Any]] = [order, stock]


@order.on_command
def place(state: Order, command: Place, context: Context) -> Decision:
    if state.status != "new":
        raise Rejected(f"the order is {state.status} already")
    yield Placed(command.item, command.count, command.card)
    yield Send(f"stock/{command.item}", Reserve(command.count))
    yield Schedule(Overdue(), after=PATIENCE, name="payment")
    yield Reply(context.self_id)


@order.on_command
def reserved(state: Order, command: Reserved) -> Decision:
    yield Moved("reserved")
    yield Perform(Charge(state.card, 10 * command.count))


@order.on_command
def sold_out(state: Order, command: SoldOut) -> Decision:
    yield Moved("sold out")
    yield Cancel("payment")


@order.on_perform
def charge(call: Charge, call_id: str) -> Charged:
    if call.card == "stolen":
        raise ValueError("the bank refuses")
    return Charged(f"receipt-{call.amount}")


@order.on_command
def charged(state: Order, command: Charged) -> Decision:
    yield Moved("paid", command.receipt)
    yield Cancel("payment")
    yield Send(f"stock/{state.item}", Deliver(state.count))


@order.on_command
def unpaid(state: Order, command: PerformFailed) -> Decision:
    yield Moved("refused")


@order.on_command
def overdue(state: Order, command: Overdue) -> Decision:
    if state.status in ("refused", "reserved"):
        yield Moved("overdue")


@order.on_event
def was_placed(state: Order, event: Placed) -> Order:
    return msgspec.structs.replace(
        state, status="placed", item=event.item, count=event.count, card=event.card
    )


@order.on_event
def moved(state: Order, event: Moved) -> Order:
    return msgspec.structs.replace(
        state,
        status=event.status,
        receipt=event.receipt or state.receipt,
        steps=(*state.steps, event.status),
    )


@stock.on_command
def reserve(state: Stock, command: Reserve, context: Context) -> Decision:
    item = context.self_id.partition("/")[2]
    if command.count > state.free:
        yield Send(context.sender, SoldOut(item))
        return
    yield Counted(state.free - command.count, state.held + command.count)
    yield Send(context.sender, Reserved(item, command.count))


@stock.on_command
def deliver(state: Stock, command: Deliver) -> Decision:
    yield Counted(state.free, state.held - command.count)


@stock.on_command
def refill(state: Stock, command: Refill) -> Decision:
    if command.count <= 0:
        raise Rejected("refill by one at least")
    yield Counted(state.free + command.count, state.held)


@stock.on_event
def counted(state: Stock, event: Counted) -> Stock:
    return Stock(event.free, event.held)


def answer(call: Charge) -> Charged:
    """For forks: what the bank would have said."""
    return Charged(f"would-be-{call.amount}")
