"""The walks of docs/architecture.md, walked: what is called on the way of a real message."""

import asyncio
import tempfile
from pathlib import Path

from moonlet.agents import Host, connect
from moonlet.projections import At, Fields, LexCounter, ORMap, Replica, View
from moonlet.simulations import World, faults, simulate
from moonlet.streams import TemporaryServer
from tests.tools import warm_ask
from tests.tools.calls import Call, noted
from tests.tools.warm_ask import Deposit, Deposited, account

balances = View("balances", version=1, by_account=ORMap[LexCounter])


@balances.on_event
def booked(view: Fields, event: Deposited, at: At) -> None:
    view.by_account[at.agent.key].add(event.amount)


def of_a_command() -> list[Call]:
    """An ask of an agent that is in memory, on a real server."""
    return list(warm_ask.measure().calls)


def of_an_event() -> list[Call]:
    """An ask, and a replica that waits for its event, on a real server."""
    return asyncio.run(_of_an_event())


async def _of_an_event() -> list[Call]:
    with tempfile.TemporaryDirectory(prefix="moonlet-walk-") as name:
        folder = Path(name)
        with TemporaryServer(folder / "server") as url:
            async with connect(url) as moon, Host(moon, [account]):
                async with Replica(moon, balances, folder / "balances.db") as replica:
                    await moon.ask("account/warm", Deposit(1))
                    await replica.wait_for(moon.token)
                    with noted() as calls:
                        await moon.ask("account/warm", Deposit(1))
                        await replica.wait_for(moon.token)
                    return calls


def of_a_packet() -> list[Call]:
    """A tell in a calm world of one host."""
    found: list[Call] = []

    @simulate(seeds=1, agents=[account], hosts=1, faults=faults.none(), replicas=[1], horizon="2s")
    async def a_calm_world(world: World) -> None:
        async with world.client() as moon:
            await moon.tell("account/warm", Deposit(1))
            await world.advance("1s")
            with noted() as calls:
                await moon.tell("account/warm", Deposit(1))
            found.extend(calls)
        await world.settle()

    a_calm_world.scenario.run(0).check()
    return found
