"""A handler that keeps its host's loop is named; one that never ends stops one host, once."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from moonlet.agents import EXIT_BLOCKED, Client, Host, connect
from moonlet.core.errors import Unavailable, Undecodable
from moonlet.core.ids import AgentId
from moonlet.streams import Blocked, BlockedMarks, Topology
from moonlet.streams.reading import consumer
from moonlet.streams.server.server_process import ServerProcess
from tests.agents.loops import Look, LoopsHost, Spin, Step, loops

AGENT = "loops/bad"
OTHERS = [f"loops/{n}" for n in range(8)]


@pytest.fixture
def topology(name: str) -> Iterator[Topology]:
    yield Topology(prefix=name)


async def until_parked(moon: Client, id: str, *, timeout: float) -> str:
    """The reason, once the agent's command is parked."""
    async with asyncio.timeout(timeout):
        async for commit in moon.history(AGENT, follow=True):
            if commit.command.id == id:
                assert commit.outcome == "parked", commit
                return commit.reason
    raise AssertionError


async def test_a_handler_that_never_ends_stops_one_host_and_is_parked(
    shared_server: ServerProcess, topology: Topology, name: str, tmp_path: Path
) -> None:
    """Marked before its lease runs out: the next owner lets its agent wait, and only that."""
    url = shared_server.url
    hosts = [LoopsHost(url, name, tmp_path / f"{n}.log", lease=2, limit=4) for n in range(2)]
    try:
        for host in hosts:
            host.await_ready()
        async with connect(url, topology=topology, agents=[loops]) as moon:
            await asyncio.gather(*(moon.ask(agent, Step(), timeout=20) for agent in OTHERS))
            receipt = await moon.tell(AGENT, Spin())
            parked = asyncio.create_task(until_parked(moon, receipt.id, timeout=80))
            while not parked.done():
                await asyncio.gather(*(moon.ask(agent, Step(), timeout=60) for agent in OTHERS))
            assert "ran for over 4 s" in await parked
            assert await moon.ask(AGENT, Step(), timeout=20) == 1
        ended = [host for host in hosts if host.process.poll() is not None]
        assert [host.process.poll() for host in ended] == [EXIT_BLOCKED]
        told = ended[0].log.read_text()
        assert "a handler ran too long" in told and AGENT in told and "in spin" in told
    finally:
        for host in hosts:
            host.close()


async def test_a_handler_that_blocks_its_host_is_named_and_nothing_else_is_blamed(
    shared_server: ServerProcess,
    topology: Topology,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(consumer, "PULL_EXPIRES", 0.5)
    monkeypatch.setattr(consumer, "SILENCE", 1.5)
    async with (
        connect(shared_server.url, topology=topology, agents=[loops]) as moon,
        Host(moon, [loops], lease=10),
    ):
        await moon.ask(AGENT, Step())
        assert await moon.ask(AGENT, Step(3.0), timeout=20) == 2
        assert await moon.query(AGENT, Look(0.3), timeout=10) == 2
        await asyncio.sleep(1.0)  # sleeps: what is said wrongly is said by then
    told = capfd.readouterr().err
    assert "never answered" not in told
    blamed = [line for line in told.splitlines() if "a handler blocked its host" in line]
    assert len(blamed) == 2 and all(AGENT in line for line in blamed), told
    assert "in step" in blamed[0] and "in look" in blamed[1]


def mark(kind: str, name: str, *, ended: bool, limit: float = 5.0) -> Blocked:
    return Blocked(AGENT, kind, name, host="h-1", seconds=1.0, limit=limit, ended=ended)


async def test_what_ended_a_process_is_not_run_again_until_somebody_says_so(
    shared_server: ServerProcess, topology: Topology
) -> None:
    async with connect(shared_server.url, topology=topology, agents=[loops]) as moon:
        async with Host(moon, [loops], lease=2):
            await moon.ask(AGENT, Step())
        marks = BlockedMarks(moon.bus)
        for kind, name, refused in (("query", "Look", Unavailable), ("fold", "?", Undecodable)):
            await marks.put(mark(kind, name, ended=True))
            async with Host(moon, [loops], lease=2):
                with pytest.raises(refused, match="ended its host's process"):
                    await moon.query(AGENT, Look(), timeout=5)
                assert await moon.ask("loops/other", Step(), timeout=5) > 0
                await moon.order(AGENT, "start")
                assert await moon.query(AGENT, Look(), timeout=5) == 1
            assert await marks.get(AgentId.parse(AGENT)) is None


@pytest.mark.parametrize("comes_back", [True, False])
async def test_an_agent_waits_for_a_blocked_host_but_not_for_ever(
    shared_server: ServerProcess, topology: Topology, comes_back: bool
) -> None:
    """The host may come to an end of it, or be gone with its mark left behind."""
    async with connect(shared_server.url, topology=topology, agents=[loops]) as moon:
        async with Host(moon, [loops], lease=2):
            await moon.ask(AGENT, Step())
        marks = BlockedMarks(moon.bus)
        await marks.put(mark("command", "Step", ended=False, limit=60.0 if comes_back else 0.0))
        async with Host(moon, [loops], lease=2):
            asked = asyncio.create_task(moon.ask(AGENT, Step(), timeout=20))
            assert await moon.ask("loops/other", Step(), timeout=5) == 1
            with pytest.raises(Unavailable, match="blocked by it"):
                await moon.query(AGENT, Look(), timeout=0.5)
            assert not asked.done()
            if comes_back:
                await marks.delete(AgentId.parse(AGENT))
            assert await asked == 2
        assert await marks.get(AgentId.parse(AGENT)) is None
