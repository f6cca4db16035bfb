"""The agent that all rows run: the account of the README, with a few helpers."""

import msgspec

from moonlet.agents import AgentType, Decision, Rejected, Reply


class Deposit(msgspec.Struct, frozen=True):
    amount: int


class Deposited(msgspec.Struct, frozen=True):
    amount: int


class GetBalance(msgspec.Struct, frozen=True):
    pass


class Account(msgspec.Struct, frozen=True):
    balance: int = 0


def account_type() -> AgentType[Account]:
    """A fresh agent type `account`."""
    account = AgentType("account", Account)

    @account.on_command
    def deposit(state: Account, command: Deposit) -> Decision:
        if command.amount <= 0:
            raise Rejected("amount must be positive")
        yield Deposited(command.amount)
        yield Reply(state.balance + command.amount)

    @account.on_event
    def deposited(state: Account, event: Deposited) -> Account:
        return msgspec.structs.replace(state, balance=state.balance + event.amount)

    @account.on_query
    def get_balance(state: Account, query: GetBalance) -> int:
        return state.balance

    return account
