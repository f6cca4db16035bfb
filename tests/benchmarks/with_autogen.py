# mypy: ignore-missing-imports, allow-subclassing-any, allow-untyped-decorators
"""The account in autogen-core's only local runtime, without tracing; it keeps nothing."""

from dataclasses import dataclass
from typing import Any

from autogen_core import (
    AgentId,
    MessageContext,
    RoutedAgent,
    SingleThreadedAgentRuntime,
    message_handler,
)

from tests.benchmarks.world import WINDOW, Stopwatch, pipelined


@dataclass
class Deposit:
    amount: int


@dataclass
class Balance:
    amount: int


class Account(RoutedAgent):
    def __init__(self) -> None:
        super().__init__("an account")
        self.balance = 0

    @message_handler
    async def deposit(self, message: Deposit, ctx: MessageContext) -> Balance:
        if message.amount <= 0:
            raise ValueError("amount must be positive")
        self.balance += message.amount
        return Balance(self.balance)


async def run(agents: int, count: int) -> float:
    """Deposits a second, each answered, all agents awake."""
    runtime = SingleThreadedAgentRuntime(tracer_provider=None)
    await Account.register(runtime, "account", Account)
    ids = [AgentId("account", f"a{index}") for index in range(agents)]
    runtime.start()

    async def deposit(index: int) -> None:
        answer: Any = await runtime.send_message(Deposit(5), ids[index % agents])
        assert answer.amount > 0

    await pipelined(agents, WINDOW, deposit)
    watch = Stopwatch()
    await pipelined(count, WINDOW, deposit)
    taken = watch.stop()
    await runtime.stop_when_idle()
    return count / taken
