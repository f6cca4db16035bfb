"""Directed worlds of questions: more than are answered at once, and about what was long ago."""

from __future__ import annotations

import asyncio

import msgspec

from moonlet.agents.answering import owner_service
from moonlet.core.envelope import Envelope
from moonlet.core.errors import Unavailable
from moonlet.core.ids import AgentId
from moonlet.simulations.world import World
from moonlet.streams import encode_envelope
from tests.agents.accounts import Deposit, GetBalance
from tests.simulations.workshop import small_limits

AGENT = "account/a"
MANY = 8


async def crowd(world: World) -> None:
    """Of more questions than are answered at once some are told to ask again, and then can."""
    with small_limits(((owner_service, "SERVING_MAX", 2),)):
        async with world.client() as moon:
            await moon.ask(AGENT, Deposit(1))
            world.forget_agents("h1")
            asked = (moon.query(AGENT, GetBalance(), timeout=30) for _ in range(MANY))
            answers = await asyncio.gather(*asked, return_exceptions=True)
            assert answers.count(1) >= 2
            assert all(answer == 1 or isinstance(answer, Unavailable) for answer in answers)
            assert await moon.query(AGENT, GetBalance(), timeout=30) == 1


async def long_ago(world: World) -> None:
    """Outcomes that no owner remembers are searched for together, and found."""
    with small_limits(((owner_service, "RECENT", 1),)):
        async with world.client() as moon:
            receipts = [await moon.tell(AGENT, Deposit(1)) for _ in range(MANY)]
            await world.advance("5s")
            world.restart("h1")
            asked = (receipt.committed(timeout=60) for receipt in receipts)
            commits = await asyncio.gather(*asked)
        assert [commit.revision for commit in commits] == list(range(1, MANY + 1))


async def far_ahead(world: World) -> None:
    """A number that no client of ours would give is known by its id, and bars nobody."""
    async with world.client() as moon:
        await moon.ask(AGENT, Deposit(1))
        (last,) = world.chronicle.histories[AGENT].commits
        sender, lane = last.command.sender, last.command.lane
        agent = AgentId.parse(AGENT)
        subject = moon.bus.subjects.mailbox(agent, lane, await moon.registry.home(agent.type))
        for id in ("far", "far", "further"):
            envelope = Envelope(
                id=id,
                agent=AGENT,
                name="Deposit",
                body=msgspec.Raw(b'{"amount":10}'),
                lane=lane,
                sender=sender,
                number=90_000 if id == "far" else 99_000,
            )
            payload, headers = encode_envelope(envelope, "json", moon.bus.command_limit)
            await moon.bus.publish(subject, payload, headers=headers, timeout=5.0)
        assert await moon.ask(AGENT, Deposit(1)) in (2, 12, 22)
        await world.settle()
        assert (await world.states("account"))["a"].balance == 22
