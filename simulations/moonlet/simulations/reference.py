"""The reference scenario: what speed, coverage and the single-fault sweep are measured on.

A small bank: three hosts, six accounts, twenty transfers that are told one after the other over
some 14 s of virtual time. No money may be created or destroyed.
"""

from __future__ import annotations

import msgspec

from moonlet.agents import AgentType, Decision, Rejected, Reply, Send
from moonlet.simulations import faults
from moonlet.simulations.scenario import Scenario
from moonlet.simulations.world import World

ACCOUNTS = 6
TRANSFERS = 20
PAUSE = "600ms"
OPENED_WITH = 100


class Transfer(msgspec.Struct, frozen=True):
    """Send `amount` to another account."""

    to: str
    amount: int


class Receive(msgspec.Struct, frozen=True):
    """Take `amount` from another account."""

    amount: int


class Sent(msgspec.Struct, frozen=True):
    """So much left the account."""

    amount: int


class Received(msgspec.Struct, frozen=True):
    """So much came."""

    amount: int


class Balance(msgspec.Struct, frozen=True):
    """An account's state."""

    balance: int = OPENED_WITH


account = AgentType("account", Balance, partitions=1)


@account.on_command
def transfer(state: Balance, command: Transfer) -> Decision:
    """Refuse an overdraft; else tell the receiver."""
    if command.amount > state.balance:
        raise Rejected(f"the balance is {state.balance}")
    yield Sent(command.amount)
    yield Send(command.to, Receive(command.amount))
    yield Reply(state.balance - command.amount)


@account.on_command
def receive(state: Balance, command: Receive) -> Decision:
    """Take it."""
    yield Received(command.amount)


@account.on_event
def sent(state: Balance, event: Sent) -> Balance:
    """Less by it."""
    return Balance(state.balance - event.amount)


@account.on_event
def received(state: Balance, event: Received) -> Balance:
    """More by it."""
    return Balance(state.balance + event.amount)


async def bank(world: World) -> None:
    """Transfers between accounts, drawn from the seed."""
    names = [f"account/a{number}" for number in range(ACCOUNTS)]
    dice = world.seed.dice("bank")
    world.always("no overdraft", lambda states: all(s.balance >= 0 for s in states.values()))
    async with world.client() as moon:
        for _ in range(TRANSFERS):
            source, target = dice.sample(names, 2)
            await moon.tell(source, Transfer(target, dice.between(1, 60)))
            await world.advance(PAUSE)
    await world.settle()
    total = sum(state.balance - OPENED_WITH for state in (await world.states("account")).values())
    assert total == 0, f"{total:+} in all accounts"


reference = Scenario(
    name=f"{__name__}:reference", body=bank, agents=(account,), faults=faults.all(), horizon="14s"
)
