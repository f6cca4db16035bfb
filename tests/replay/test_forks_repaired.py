"""Histories that were repaired are forked behind the repair, as every reader folds them."""

from collections.abc import Iterator

import pytest

from moonlet.agents import Client, Host, connect, plan_repair, repair
from moonlet.core.errors import Corrupt, Invalid, Undecodable
from moonlet.replay import (
    Drop,
    Point,
    Recording,
    ServerSource,
    cohort,
    conversations,
    depends_on,
    fork,
    read_record,
    resolve,
)
from moonlet.streams import Topology
from moonlet.streams.server.server_process import ServerProcess
from tests.e2e.test_repairs import AGENT, ID, Add, Get, Sum, summing, write_into_journal

POISON = 10


@pytest.fixture
def topology(name: str) -> Iterator[Topology]:
    yield Topology(prefix=name)


async def broken_and_repaired(moon: Client) -> None:
    """One event that today's code can't fold, and garbage, are left out; before and after: work."""
    code = summing(POISON)
    await write_into_journal(moon, b"\x00\xff garbage")
    await write_into_journal(moon, b"{}")
    async with Host(moon, [code], lease=2):
        with pytest.raises((Undecodable, Corrupt)):
            await moon.query(AGENT, Get(), timeout=5)
        plan = await plan_repair(moon.bus, ID, code)
        assert plan is not None and {skip.what for skip in plan.skips} == {"record", "events"}
        await repair(moon.bus, plan, by="ann", why="a test")
        await moon.order(AGENT, "start")
        assert await moon.ask(AGENT, Add(1000)) == 1101
        await moon.ask("sum/b", Add(3))
        await moon.ask(AGENT, Add(10_000))


async def test_a_repaired_history_is_forked_behind_its_repair(
    shared_server: ServerProcess, topology: Topology
) -> None:
    good, broken = summing(), summing(POISON)
    types = {"sum": good}
    async with connect(shared_server.url, topology=topology, agents=[good]) as moon:
        async with Host(moon, [good], lease=2):
            for n in (1, POISON, 100):
                await moon.ask(AGENT, Add(n))
            await moon.ask("sum/b", Add(2))
        await write_into_journal(moon, b"{")
        with pytest.raises((Corrupt, Undecodable)):
            await read_record(ServerSource(moon.bus))
        await broken_and_repaired(moon)
        source = ServerSource(moon.bus)
        record = await read_record(source)
        assert await moon.state(AGENT) == Sum(11_101)
        repaired = next(e.commit for e in record.commits if e.commit.repair is not None)
        for code in (good, broken):  # what was left out stays so, whoever reads
            made = fork(record, {"sum": code})
            assert (made.agents, made.failed) == ([], {})
            assert made.states[AGENT] == {"total": 11_101}
            assert made.at == f"{AGENT}@{repaired.revision + 1}"
        last = record.by_agent[AGENT][-1].commit
        other = fork(record, types, [Drop(AGENT, last.command.id)])
        assert other.states[AGENT] == {"total": 1_101} and other.states["sum/b"] == {"total": 5}
        with pytest.raises(Invalid, match=rf"{AGENT} was repaired at {AGENT}@{repaired.revision}"):
            fork(record, types, at=await resolve(source, f"{AGENT}@1"))
        with pytest.raises(Invalid, match="was repaired"):
            fork(record, types, [Drop(AGENT, record.by_agent[AGENT][0].commit.command.id)])
        _others(record, last.revision)


def _others(record: Recording, last: int) -> None:
    """Cohorts and causes know of the repair too."""
    types = {"sum": summing()}
    begun = conversations(record)
    with pytest.raises(Invalid, match="is before a repair"):
        cohort(record, types, begun)
    behind = [e.commit.command.id for e in record.commits[record.opens :]]
    assert not any(each.differs for each in cohort(record, types, behind).conversations)
    found = depends_on(record, types, Point(ID, last))
    assert found.needed == [f"{AGENT}@{last}", f"{AGENT}@{last - 1}"]
    assert found.undecided == 4, "what came before the repair was not tried"
