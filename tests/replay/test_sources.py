"""What every source of histories does: on a server, and on a bundle that was taken of it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import pytest

from moonlet.agents import Host, connect
from moonlet.core.commit import Commit
from moonlet.core.errors import Invalid
from moonlet.core.ids import AgentId
from moonlet.replay import (
    BundleSource,
    CommitPages,
    HistorySource,
    ServerSource,
    commits_of,
    find_command,
    fold_at,
    messages_of,
)
from moonlet.simulations.bundle import take_bundle
from moonlet.streams import Topology, decode_plain_commit
from moonlet.streams.server.server_process import ServerProcess
from tests.agents.accounts import Deposit, Fill, account_type


@dataclass
class Both:
    server: HistorySource
    bundle: HistorySource
    moon: Any

    def __iter__(self) -> Any:
        return iter((self.server, self.bundle))


@pytest.fixture
async def both(shared_server: ServerProcess, name: str) -> AsyncIterator[Both]:
    types = [account_type()]
    async with connect(shared_server.url, topology=Topology(prefix=name)) as moon:
        async with Host(moon, types):
            for n in range(1, 6):
                await asyncio.gather(*(moon.ask(f"account/{k}", Deposit(n)) for k in "ab"))
            receipt = await moon.tell("account/big", Fill(events=30, size=100_000))
            await receipt.committed(timeout=20)
        bundle = await take_bundle(moon.bus)
        yield Both(ServerSource(moon.bus), BundleSource(bundle, "bug.moonlet"), moon)


async def listed(source: HistorySource, agent: str, *bounds: int) -> list[Commit[Any]]:
    commits = commits_of(source, AgentId.parse(agent), *bounds)
    async with aclosing(commits):
        return [commit async for commit in commits]


async def test_all_sources_give_the_same_histories(both: Both) -> None:
    async with aclosing(both.moon.history("account/a")) as told:
        wanted = [commit async for commit in told]
    assert [commit.revision for commit in wanted] == [1, 2, 3, 4, 5]
    for source in both:
        assert await listed(source, "account/a") == wanted
        assert await listed(source, "account/a", 2, 3) == wanted[1:3]
        assert await listed(source, "account/nobody") == []
        facts = await source.journals()
        assert facts == await both.server.journals()
        assert facts[0].last >= 10
        third = wanted[2]
        stored = await source.message(facts[0].stream, third.sequence)
        assert stored is not None and stored.sequence == third.sequence
        assert await source.message(facts[0].stream, facts[0].last + 1) is None
        later = messages_of(source, AgentId.parse("account/a"), start=third.sequence + 1)
        assert [m.sequence async for m in later] == [c.sequence for c in wanted[3:]]
        found = await find_command(source, AgentId.parse("account/a"), third.command.id)
        assert found == third
        pages = await CommitPages.open(source, AgentId.parse("account/a"))
        assert [await pages.commit(n) for n in (3, 1, 5, 2, 4)] == [
            wanted[n - 1] for n in (3, 1, 5, 2, 4)
        ]
        assert await find_command(source, AgentId.parse("account/a"), "nobody") is None
        assert source.description


async def test_a_fold_is_the_live_state_at_any_revision(both: Both) -> None:
    agent = AgentId.parse("account/b")
    for source in both:
        last = await fold_at(source, account_type(), agent)
        assert last.revision == 5
        states = [(await fold_at(source, account_type(), agent, n)).state for n in range(6)]
        assert states[-1] == last.state and len({repr(state) for state in states}) == 6
        with pytest.raises(Invalid, match="account/b has no revision 6: its last is 5"):
            await fold_at(source, account_type(), agent, 6)
        with pytest.raises(Invalid, match="revision -1: revisions count from 1"):
            await fold_at(source, account_type(), agent, -1)


async def test_a_record_that_stands_apart_is_brought_in(both: Both) -> None:
    for source in both:
        (commit,) = await listed(source, "account/big")
        assert len(commit.events) == 30
        stream = source.topology.journal_of("account")
        stored = await source.message(stream, commit.sequence)
        assert stored is not None and decode_plain_commit(stream, stored) == commit
        fold = await fold_at(source, account_type(), AgentId.parse("account/big"))
        assert fold.digest == commit.digest
