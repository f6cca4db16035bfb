"""A bank: two accounts, a transfer, a refusal, and what was true before.

Shows agents and handlers, `ask` and `tell`, a `Send` from agent to agent that arrives once whatever
happens, refusals that are records too, and states of the past.
"""

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from moonlet.agents import AgentType, Client, Decision, Host, Rejected, Reply, Send, connect


class Deposit(msgspec.Struct, frozen=True):
    amount: int


class Transfer(msgspec.Struct, frozen=True):
    amount: int
    to: str


class Deposited(msgspec.Struct, frozen=True):
    amount: int


class Withdrawn(msgspec.Struct, frozen=True):
    amount: int


class Account(msgspec.Struct, frozen=True):
    balance: int = 0


account = AgentType("account", Account)


@account.on_command
def deposit(state: Account, command: Deposit) -> Decision:
    if command.amount <= 0:
        raise Rejected("amount must be positive")
    yield Deposited(command.amount)
    yield Reply(state.balance + command.amount)


@account.on_command
def transfer(state: Account, command: Transfer) -> Decision:
    if command.amount > state.balance:
        raise Rejected(f"only {state.balance} left")
    yield Withdrawn(command.amount)
    yield Send(command.to, Deposit(command.amount))  # stands in the same record as the withdrawal
    yield Reply(state.balance - command.amount)


@account.on_event
def deposited(state: Account, event: Deposited) -> Account:
    return Account(state.balance + event.amount)


@account.on_event
def withdrawn(state: Account, event: Withdrawn) -> Account:
    return Account(state.balance - event.amount)


async def arrived(moon: Client, agent: str, revision: int) -> None:
    """Wait for the agent's commit of that revision."""
    async for _ in moon.history(agent, from_=revision, to=revision, follow=True):
        return


async def main(folder: Path) -> None:
    """Move money, try to move too much, and look back."""
    async with connect(folder=folder) as moon, Host(moon, [account]):
        print("alice has", await moon.ask("account/alice", Deposit(100)))
        print("alice has", await moon.ask("account/alice", Transfer(30, to="account/bob")))
        try:
            await moon.ask("account/alice", Transfer(500, to="account/bob"))
        except Rejected as refusal:
            print("refused:", refusal)
        await arrived(moon, "account/bob", 1)
        for name in ("account/alice", "account/bob"):
            async for commit in moon.history(name):
                said = commit.reason or ", ".join(event.name for event in commit.events)
                print(f"{name} {commit.revision}: {commit.command.name} {commit.outcome}: {said}")
            print(f"{name} now: {await moon.state(name)}")
        print("alice before the transfer:", await moon.state("account/alice", revision=1))


if __name__ == "__main__":
    with TemporaryDirectory() as data:
        asyncio.run(main(Path(data)))
