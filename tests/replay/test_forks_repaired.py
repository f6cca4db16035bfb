"""Histories that were repaired are forked behind the repair, as every reader folds them."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from moonlet.agents import Client, Host, connect, plan_repair, repair
from moonlet.core.commit import Command, Commit, Repair, Skip
from moonlet.core.errors import Corrupt, Invalid, Undecodable
from moonlet.core.hlc import Timestamp
from moonlet.core.ids import AgentId
from moonlet.replay import (
    BundleSource,
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
from moonlet.simulations.bundle import Bundle, Held
from moonlet.streams import StoredMessage, Topology, encode_commit
from moonlet.streams.server.server_process import ServerProcess
from tests.agents.accounts import account_type
from tests.e2e.test_repairs import AGENT, ID, Add, Get, Sum, summing, write_into_journal
from tests.journals import BEGAN, BODY, EVENTS

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


async def test_behind_a_commit_that_is_left_out_the_history_goes_on_where_it_did() -> None:
    """Its revision was given out; what it sent came, and comes as it came."""
    first, second = AgentId("account", "a"), AgentId("account", "b")
    made: list[tuple[AgentId, tuple[bytes, dict[str, str]]]] = []
    digests = {first: "", second: ""}

    def add(agent: AgentId, revision: int, **facts: Any) -> None:
        command = Command(f"{agent}-{revision}", "Deposit", BODY, sender="c-gen", number=revision)
        commit: Commit[Any] = Commit(
            agent=str(agent),
            revision=revision,
            outcome=facts.pop("outcome", "accepted"),
            command=facts.pop("command", command),
            time=Timestamp(BEGAN + len(made), 0),
            previous_digest=digests[agent],
            **facts,
        )
        record, digests[agent] = encode_commit(commit, "json")
        made.append((agent, record))

    add(first, 1, events=EVENTS, reply=1)
    add(first, 2, events=EVENTS, reply=2)
    behind = digests[first]
    add(first, 3, events=EVENTS, reply=3)
    skips = (Skip(2, "record", revision=2, digest=behind, why="rotten"),)
    repair_command = Command("repair:1", "Repair", msgspec.Raw(b"null"))
    add(
        first,
        4,
        outcome="repaired",
        command=repair_command,
        repair=Repair("ann", "a test", skips),
    )
    sent = Command("account/a:2.0", "Deposit", BODY, sender="account/a", number=2_048)
    add(second, 1, events=EVENTS, reply=1, command=sent)
    add(first, 5, events=EVENTS, reply=3, repaired=4)
    made[1] = (first, (b"rotten", made[1][1][1]))

    topology = Topology()
    journal, *empty = topology.journal_streams
    configs = {config["name"]: config for config in topology.configs()}
    messages = [
        StoredMessage(f"moon.evt.{agent}".replace("/", "."), at, at, dict(headers), data)
        for at, (agent, (data, headers)) in enumerate(made, 1)
    ]
    held = [Held(journal, configs[journal], 1, 1, len(messages), messages)]
    held += [Held(name, configs[name], 1, 1, 0, []) for name in empty]
    source = BundleSource(Bundle(len(messages), "2.15", topology, held), "made")
    record = await read_record(source)
    assert [each.commit.revision for each in record.by_agent["account/a"]] == [1, 3, 4, 5]
    types = {"account": account_type()}
    unchanged = fork(record, types)
    assert (unchanged.agents, unchanged.failed) == ([], {})
    balances = {agent: state["balance"] for agent, state in unchanged.states.items()}
    assert balances == {"account/a": 3, "account/b": 1}
    assert [str(c.agent) for c in unchanged.commits] == ["account/b", "account/a"]
