"""A caller who waits for every answer: the queue holds what it waits for, and little else."""

import asyncio
from collections.abc import Callable

from moonlet.agents import Host, connect
from moonlet.streams import Topology
from moonlet.streams.server.server_process import ServerProcess
from tests.agents.accounts import Deposit, account_type

CALLERS = 30
MAILBOX = 40
ROUNDS = 30
COLD = 8


async def test_a_caller_that_waits_for_every_answer_never_meets_a_full_mailbox(
    new_server: Callable[..., ServerProcess], name: str
) -> None:
    """Removals wait for the disk and answers don't, so answered commands pile up in the queue."""
    server = new_server(fsync=True)
    topology = Topology(prefix=name, mailbox=MAILBOX)
    async with connect(server.url, topology=topology) as moon, Host(moon, [account_type()]):

        async def call(agent: str, rounds: int) -> None:
            for _ in range(rounds):
                await moon.ask(agent, Deposit(1), timeout=60)

        await asyncio.gather(*(call("account/a", ROUNDS) for _ in range(CALLERS)))
        assert await moon.ask("account/a", Deposit(1)) == CALLERS * ROUNDS + 1
        # What comes while an agent is read is answered all at once when it is up.
        await asyncio.gather(
            *(call(f"account/cold{n}", 2) for n in range(COLD) for _ in range(CALLERS))
        )
