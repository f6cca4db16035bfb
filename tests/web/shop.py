"""A till that sells, and a ledger that it tells of it: what the console is shown in the tests."""

import time

import msgspec

from moonlet.agents import AgentType, Decision, Rejected, Reply, Send


class Sell(msgspec.Struct, frozen=True):
    amount: int
    note: str = ""


class Count(msgspec.Struct, frozen=True):
    pieces: int


class Sold(msgspec.Struct, frozen=True):
    amount: int
    note: str


class Book(msgspec.Struct, frozen=True):
    amount: int


class Booked(msgspec.Struct, frozen=True):
    amount: int


class Till(msgspec.Struct, frozen=True):
    cash: int = 0
    notes: dict[str, str] = {}


class Ledger(msgspec.Struct, frozen=True):
    total: int = 0


till = AgentType("till", Till)
ledger = AgentType("ledger", Ledger)


@till.on_command
def sell(state: Till, command: Sell) -> Decision:
    if command.amount == 13:
        raise RuntimeError("thirteen " + command.note)
    if command.amount < 0:
        raise Rejected("no refunds " + command.note)
    yield Sold(command.amount, command.note)
    yield Send("ledger/main", Book(command.amount))
    yield Reply(state.cash + command.amount)


@till.on_command
def count(state: Till, command: Count) -> Decision:
    time.sleep(0.03 * command.pieces)  # sleeps: this agent is the slow one
    yield Reply(command.pieces)


@till.on_event
def sold(state: Till, event: Sold) -> Till:
    notes = {**state.notes, event.note: event.note} if event.note else state.notes
    return Till(state.cash + event.amount, notes)


@ledger.on_command
def book(state: Ledger, command: Book) -> Decision:
    yield Booked(command.amount)


@ledger.on_event
def booked(state: Ledger, event: Booked) -> Ledger:
    return Ledger(state.total + event.amount)
