"""Journals as a long time of work leaves them, written in seconds."""

import asyncio
from typing import Any

import msgspec

from moonlet.agents import Client, Host
from moonlet.core.commit import Command, Commit, Event
from moonlet.core.hlc import Timestamp
from moonlet.core.ids import AgentId
from moonlet.streams import EXPECTED_LAST, encode_commit
from moonlet.streams.api import Outgoing
from tests.agents.accounts import account_type

BATCH = 1_000
IN_FLIGHT = 4
BEGAN = 1_790_000_000_000_000
BODY = msgspec.Raw(b'{"amount":1}')
EVENTS = (Event("Deposited", BODY),)


def deposit(
    agent: AgentId, revision: int, before: str, sender: str = "c-gen"
) -> tuple[tuple[bytes, Any], str]:
    """The record of a deposit of 1, and its digest; `before` is that of the commit before."""
    id = str(agent)
    command = Command(
        f"{sender}.{id}.{revision}", "Deposit", BODY, sender=sender, number=revision, sequence=1
    )
    commit = Commit(
        agent=id,
        revision=revision,
        outcome="accepted",
        command=command,
        time=Timestamp(BEGAN + revision, 0),
        events=EVENTS,
        reply=revision,
        previous_digest=before,
        dispatched=revision - 1,
    )
    return encode_commit(commit, "json")


async def write_deposits(
    moon: Client, agents: int, each: int, *, name: str = "s", told: bool = False
) -> None:
    """Interleaved: the first deposit of account/s0, of account/s1, …, then the second of each.

    As hosts write them if `told`: with the sequence of the commit before. The journal must be
    empty then.
    """
    async with Host(moon, [account_type()]):
        pass  # it makes the streams
    digests = [""] * agents
    batch: list[Outgoing] = []
    waiting: list[asyncio.Future[Any]] = []

    async def send() -> None:
        if batch:
            waiting.append(moon.bus._js.publish_batch(list(batch), timeout=60))
            batch.clear()
        while len(waiting) >= IN_FLIGHT or (waiting and not batch):
            await waiting.pop(0)

    for revision in range(1, each + 1):
        for number in range(agents):
            agent = AgentId("account", f"{name}{number}")
            (payload, headers), digests[number] = deposit(agent, revision, digests[number])
            if told:
                before = (revision - 2) * agents + number + 1
                headers = {**headers, EXPECTED_LAST: str(before if revision > 1 else 0)}
            batch.append(Outgoing(moon.bus.subjects.journal(agent), payload, headers))
            if len(batch) == BATCH:
                await send()
        if told:  # a batch takes an agent's expectation once
            await send()
            await send()
    await send()
