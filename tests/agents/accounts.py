"""The agent type that most tests of the runtime use."""

import os
import signal
from datetime import timedelta

import msgspec

from moonlet.agents import (
    AgentType,
    Cancel,
    Context,
    Decision,
    Publish,
    Rejected,
    Reply,
    Schedule,
    Send,
)


class Deposit(msgspec.Struct, frozen=True):
    amount: int


class Deposited(msgspec.Struct, frozen=True):
    amount: int


class Transfer(msgspec.Struct, frozen=True):
    to: str
    amount: int


class Withdrawn(msgspec.Struct, frozen=True):
    amount: int


class DepositLater(msgspec.Struct, frozen=True):
    amount: int
    after: float
    name: str = "deposit"


class Forget(msgspec.Struct, frozen=True):
    name: str = "deposit"


class Announce(msgspec.Struct, frozen=True):
    topic: str
    text: str


class Fill(msgspec.Struct, frozen=True):
    """Yields `events` events of `size` characters."""

    events: int
    size: int


class Filled(msgspec.Struct, frozen=True):
    text: str


class Fail(msgspec.Struct, frozen=True):
    text: str = "as asked"


class Die(msgspec.Struct, frozen=True):
    """Ends the process that decides it."""


class GetBalance(msgspec.Struct, frozen=True):
    pass


class Account(msgspec.Struct, frozen=True):
    balance: int = 0
    filled: int = 0


def account_type(
    name: str = "account", *, partitions: int = 4, fold_version: int = 0
) -> AgentType[Account]:
    """A fresh type, so that tests don't share one."""
    account = AgentType(name, Account, partitions=partitions, fold_version=fold_version)

    @account.on_command
    def deposit(state: Account, command: Deposit) -> Decision:
        if command.amount <= 0:
            raise Rejected("amount must be positive")
        yield Deposited(command.amount)
        yield Reply(state.balance + command.amount)

    @account.on_command
    def transfer(state: Account, command: Transfer) -> Decision:
        yield Withdrawn(command.amount)
        yield Send(command.to, Deposit(command.amount))

    @account.on_command
    def deposit_later(state: Account, command: DepositLater) -> Decision:
        yield Schedule(
            Deposit(command.amount), after=timedelta(seconds=command.after), name=command.name
        )

    @account.on_command
    def forget(state: Account, command: Forget) -> Decision:
        yield Cancel(command.name)

    @account.on_command
    def announce(state: Account, command: Announce) -> Decision:
        yield Publish(command.topic, {"text": command.text})

    @account.on_command
    def fill(state: Account, command: Fill, context: Context) -> Decision:
        for _ in range(command.events):
            yield Filled(context.random.randbytes(command.size // 2).hex())

    @account.on_command
    def fail(state: Account, command: Fail) -> Decision:
        raise ValueError(command.text)

    @account.on_command
    def die(state: Account, command: Die) -> Decision:
        os.kill(os.getpid(), signal.SIGKILL)
        yield Reply()

    @account.on_event
    def deposited(state: Account, event: Deposited) -> Account:
        return msgspec.structs.replace(state, balance=state.balance + event.amount)

    @account.on_event
    def withdrawn(state: Account, event: Withdrawn) -> Account:
        return msgspec.structs.replace(state, balance=state.balance - event.amount)

    @account.on_event
    def filled(state: Account, event: Filled) -> Account:
        return msgspec.structs.replace(state, filled=state.filled + len(event.text))

    @account.on_query
    def get_balance(state: Account, query: GetBalance) -> int:
        return state.balance

    return account
