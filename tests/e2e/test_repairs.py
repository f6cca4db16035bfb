"""What can't be read is left out by a commit that says so, and every reader folds alike."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from moonlet.agents import AgentType, Client, Decision, Host, Reply, connect, plan_repair, repair
from moonlet.core.errors import Conflict, Corrupt, Undecodable
from moonlet.core.frontier import Frontier
from moonlet.core.ids import AgentId
from moonlet.projections import At, Fields, LexCounter, PoisonedEvent, Replica, View
from moonlet.streams import Snapshots, Topology
from moonlet.streams.server.server_process import ServerProcess
from tests.console.support import Ended


class Add(msgspec.Struct, frozen=True):
    n: int


class Added(msgspec.Struct, frozen=True):
    n: int


class Get(msgspec.Struct, frozen=True):
    pass


class Sum(msgspec.Struct, frozen=True):
    total: int = 0


def summing(poison: int = -1) -> AgentType[Sum]:
    """`poison`: the code that can't fold this number, as after a deploy."""
    agent_type = AgentType("sum", Sum, partitions=2)

    @agent_type.on_command
    def add(state: Sum, command: Add) -> Decision:
        yield Added(command.n)
        yield Reply(state.total + command.n)

    @agent_type.on_event
    def added(state: Sum, event: Added) -> Sum:
        if event.n == poison:
            raise KeyError("a deploy broke this")
        return Sum(state.total + event.n)

    @agent_type.on_query
    def get(state: Sum, query: Get) -> int:
        return state.total

    return agent_type


sums = View("sums", version=1, total=LexCounter)


@sums.on_event
def counted(view: Fields, event: Added, at: At) -> None:
    view.total.add(event.n)


AGENT = "sum/a"
ID = AgentId.parse(AGENT)


@pytest.fixture
def topology(name: str) -> Iterator[Topology]:
    yield Topology(prefix=name)


async def write_into_journal(moon: Client, data: bytes) -> None:
    """As a stranger of the same account would."""
    await moon.bus.publish(moon.bus.subjects.journal(ID), data, timeout=5)


async def repaired(moon: Client, agent_type: AgentType[Sum]) -> None:
    plan = await plan_repair(moon.bus, ID, agent_type)
    assert plan is not None
    await repair(moon.bus, plan, by="ann", why="a test")
    with pytest.raises(Conflict, match="went on meanwhile"):
        await repair(moon.bus, plan, by="ann", why="twice")
    assert await plan_repair(moon.bus, ID, agent_type) is None


async def test_garbage_in_a_journal_is_left_out_by_all_readers_alike(
    shared_server: ServerProcess, topology: Topology, tmp_path: Path
) -> None:
    """Recovery with and without a snapshot, histories, states, views, and repairs of repairs."""
    agent_type = summing()
    async with connect(shared_server.url, topology=topology, agents=[agent_type]) as moon:
        for round in range(1, 3):
            async with Host(moon, [agent_type], lease=2):
                await moon.ask(AGENT, Add(1))
                await moon.ask(AGENT, Add(10))
            for garbage in (b"\x00\xff garbage", b"{}", b'{"agent":"sum/a"'):
                await write_into_journal(moon, garbage)
            with pytest.raises(PoisonedEvent, match="no commit"):
                async with Replica(moon, sums, tmp_path / "old.db") as replica:
                    await replica.wait_for(Frontier.of({topology.journal_of("sum"): 10**9}))
            async with Host(moon, [agent_type], lease=2):
                with pytest.raises((Undecodable, Corrupt), match="repair"):
                    await moon.query(AGENT, Get(), timeout=5)
                asked = asyncio.create_task(moon.ask(AGENT, Add(100), timeout=20))
                await repaired(moon, agent_type)
                await moon.order(AGENT, "start")
                assert await asked == round * 111
                assert await moon.query(AGENT, Get(), timeout=5) == round * 111
            assert await moon.state(AGENT) == Sum(round * 111)
            history = [commit async for commit in moon.history(AGENT)]
            assert [c.revision for c in history] == list(range(1, 4 * round + 1))
            assert history[-2].outcome == "repaired" and history[-2].reason == "a test (ann)"
            for file in ("old.db", f"{round}.db"):  # begun before the repair, and after it
                async with Replica(moon, sums, tmp_path / file) as replica:
                    await replica.wait_for(moon.token)
                    assert replica.value == {"total": round * 111}
        snapshot = await Snapshots(moon.bus).load(ID)
        for _ in range(20):  # enough that leaving memory is worth a snapshot
            async with Host(moon, [agent_type], lease=2):
                await asyncio.gather(*(moon.ask(AGENT, Add(0)) for _ in range(20)))
            snapshot = await Snapshots(moon.bus).load(ID)
            if snapshot is not None:
                break
        assert snapshot is not None
        async with Host(moon, [agent_type], lease=2):
            assert await moon.ask(AGENT, Add(1000)) == 1222


async def test_a_fold_that_fails_after_a_deploy_is_left_out_and_stays_so(
    shared_server: ServerProcess, topology: Topology
) -> None:
    """Also for code that could fold it again: else a state would depend on who reads."""
    good, broken = summing(), summing(poison=10)
    async with connect(shared_server.url, topology=topology, agents=[good]) as moon:
        async with Host(moon, [good], lease=2):
            for n in (1, 10, 100):
                await moon.ask(AGENT, Add(n))
        async with Host(moon, [broken], lease=2):
            with pytest.raises(Undecodable, match="a deploy broke this"):
                await moon.query(AGENT, Get(), timeout=5)
            await repaired(moon, broken)
            await moon.order(AGENT, "start")
            assert await moon.query(AGENT, Get(), timeout=5) == 101
            assert await moon.ask(AGENT, Add(1000)) == 1101
        async with Host(moon, [good], lease=2):
            assert await moon.query(AGENT, Get(), timeout=5) == 1101
        assert await moon.state(AGENT) == Sum(1101)


MODULE = """
from tests.e2e.test_repairs import summing
agents = summing({poison})
"""


def console(*arguments: str, folder: Path) -> Ended:
    root = str(Path(__file__).parent.parent.parent)
    path = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), root]))
    done = subprocess.run(
        [sys.executable, "-m", "moonlet.console", *arguments],
        cwd=folder,
        env={"PYTHONPATH": path, "PATH": "/usr/bin:/bin", "HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


async def test_the_console_repairs_many_agents_after_a_dry_run(
    own_server: ServerProcess, tmp_path: Path
) -> None:
    (tmp_path / "sums.py").write_text(MODULE.format(poison=10))
    good = summing()
    async with connect(own_server.url, agents=[good]) as moon, Host(moon, [good], lease=2):
        for key in "abc":
            await moon.ask(f"sum/{key}", Add(1 if key == "b" else 10))
            await moon.ask(f"sum/{key}", Add(100))

    async def run(*arguments: str) -> Ended:
        options = ("--url", own_server.url, "--module", "sums", "--json")
        return await asyncio.to_thread(console, *arguments, *options, folder=tmp_path)

    where = ("repair", "--where", "type=sum", "--where", "event=Added")
    dry = await run(*where)
    assert [record["agent"] for record in dry.records] == ["sum/a", "sum/c"], dry
    done = await run(*where, "--apply", "--why", "10 was never paid")
    assert done.code == 0 and all("repaired" in r["done"] for r in done.records), done
    verified = await run("verify")
    assert verified.code == 0, verified
    assert verified.records[-1]["repaired"] == ["sum/a", "sum/c"]
    # Neither is held against the state that it was not decided on: only sum/b's two are.
    assert (verified.records[-1]["decided"], verified.records[-1]["changed"]) == (2, 0)
