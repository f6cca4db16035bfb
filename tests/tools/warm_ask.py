"""What one warm ask passes through: `python -m tests.tools.warm_ask` prints the whole way.

Client and host are in one process, on a real server without fsync. The agent has been asked before,
so nothing is read or opened any more.

Counted are the interpreter's `call` events of functions whose module is one of `moonlet`'s, in the
order in which they happen: what a call, a generator's next step, and a coroutine that goes on are
to `sys.setprofile`. Returns count for nothing, calls of other libraries neither. A *switch* is an
event in another module than the event before; the first one counts. What the host does at the same
time for itself (leases, pulls that end) is no part of it, so the shortest of several asks is taken.
"""

import asyncio
import tempfile
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Final

import msgspec

from moonlet.agents import AgentType, Client, Decision, Host, Reply, connect
from moonlet.streams import TemporaryServer
from tests.tools.calls import Call, noted

ASKS: Final = 25
"""How many asks are measured."""


class Deposit(msgspec.Struct, frozen=True):
    amount: int


class Deposited(msgspec.Struct, frozen=True):
    amount: int


class Account(msgspec.Struct, frozen=True):
    balance: int = 0


account = AgentType("account", Account)


@account.on_command
def deposit(state: Account, command: Deposit) -> Decision:
    yield Deposited(command.amount)
    yield Reply(state.balance + command.amount)


@account.on_event
def deposited(state: Account, event: Deposited) -> Account:
    return Account(state.balance + event.amount)


@dataclass(frozen=True)
class Way:
    """The calls in their order, as (module, function)."""

    calls: tuple[Call, ...]

    @property
    def modules(self) -> list[str]:
        """Those it passes, sorted."""
        return sorted({module for module, _ in self.calls})

    @property
    def switches(self) -> int:
        """How often it comes from one module into another."""
        return len(list(groupby(module for module, _ in self.calls)))


def measure() -> Way:
    """The shortest way of `ASKS` warm asks."""
    return asyncio.run(_measure())


async def _measure() -> Way:
    with tempfile.TemporaryDirectory(prefix="moonlet-ask-") as folder:
        with TemporaryServer(Path(folder)) as url:
            async with connect(url) as moon, Host(moon, [account]):
                await moon.ask("account/warm", Deposit(1))
                ways = [await _ask(moon) for _ in range(ASKS)]
    return min(ways, key=lambda way: (len(way.modules), way.switches))


async def _ask(moon: Client) -> Way:
    with noted() as calls:
        await moon.ask("account/warm", Deposit(1))
    return Way(tuple(calls))


if __name__ == "__main__":
    way = measure()
    for module, steps in groupby(way.calls, key=lambda call: call[0]):
        print(f"{module:<40} {' '.join(name for _, name in steps)}")
    print(f"{len(way.modules)} modules, {way.switches} switches, {len(way.calls)} calls")
