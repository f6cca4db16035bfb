"""Whatever the code of one agent raises, it parks that command, and its neighbours feel nothing."""

import asyncio
import concurrent.futures
import sys
from collections.abc import Callable, Iterator

import msgspec
import pytest

from moonlet.agents import AgentType, Client, Decision, Host, Reply, connect
from moonlet.core.errors import Rejected, Undecodable
from moonlet.streams import Topology
from moonlet.streams.journal import group_commit
from moonlet.streams.server.server_process import ServerProcess


class Fatal(BaseException):
    """What no `except Exception` sees, and whose text is a trap."""

    def __str__(self) -> str:
        raise KeyboardInterrupt


def recurse() -> None:
    recurse()


def ends(error: BaseException) -> Callable[[], None]:
    def end() -> None:
        raise error

    return end


WAYS: dict[str, Callable[[], object]] = {
    "exit": lambda: sys.exit(3),
    "cancelled": ends(asyncio.CancelledError()),
    "future cancelled": ends(concurrent.futures.CancelledError()),
    "interrupted": ends(KeyboardInterrupt()),
    "own": ends(Fatal()),
    "group": ends(BaseExceptionGroup("two", [KeyboardInterrupt(), ValueError("\ud800")])),
    "stop iteration": ends(StopIteration(1)),
    "generator exit": ends(GeneratorExit()),
    "recursion": recurse,
}


class Do(msgspec.Struct, frozen=True):
    how: str = ""


class Done(msgspec.Struct, frozen=True):
    how: str = ""


class Fold(msgspec.Struct, frozen=True):
    """Ends with an event whose handler fails so."""

    how: str


class Look(msgspec.Struct, frozen=True):
    how: str = ""


class Trap(msgspec.Struct, frozen=True):
    """A message that fails as it is read."""

    how: str = ""

    def __post_init__(self) -> None:
        if self.how:
            WAYS[self.how]()


class Count(msgspec.Struct, frozen=True):
    n: int = 0


def counter(broken: str = "") -> AgentType[Count]:
    """`broken`: folding fails so, as after a deploy."""
    agent_type = AgentType("count", Count, partitions=1)

    @agent_type.on_command
    def do(state: Count, command: Do) -> Decision:
        if command.how:
            WAYS[command.how]()
        yield Done()
        yield Reply(state.n + 1)

    @agent_type.on_command
    def fold(state: Count, command: Fold) -> Decision:
        yield Done(command.how)

    @agent_type.on_command
    def trap(state: Count, command: Trap) -> Decision:
        yield Done()

    @agent_type.on_event
    def done(state: Count, event: Done) -> Count:
        if event.how or broken:
            WAYS[event.how or broken]()
        return Count(state.n + 1)

    @agent_type.on_query
    def look(state: Count, query: Look) -> int:
        if query.how:
            WAYS[query.how]()
        return state.n

    return agent_type


@pytest.fixture
def topology(name: str) -> Iterator[Topology]:
    yield Topology(prefix=name)


async def neighbours_answer(moon: Client) -> None:
    for agent in ("count/other", "count/bad"):
        assert await moon.ask(agent, Do(), timeout=5) > 0


async def test_whatever_a_handler_raises_parks_that_command_alone(
    shared_server: ServerProcess, topology: Topology, capfd: pytest.CaptureFixture[str]
) -> None:
    agent_type = counter()
    async with (
        connect(shared_server.url, topology=topology, agents=[agent_type]) as moon,
        Host(moon, [agent_type], lease=2),
        connect(shared_server.url, topology=topology) as stranger,  # who knows no traps
    ):
        trap = msgspec.defstruct("Trap", [("how", str)], frozen=True)
        for how in WAYS:
            for command in (Do(how), Fold(how)):
                commit = await (await moon.tell("count/bad", command)).committed(timeout=5)
                assert commit.outcome == "parked", how
            commit = await (await stranger.tell("count/bad", trap(how))).committed(timeout=5)
            assert commit.outcome in ("parked", "rejected"), how
            with pytest.raises(Rejected, match="the query failed"):
                await moon.query("count/bad", Look(how), timeout=5)
            await neighbours_answer(moon)
    logged = capfd.readouterr().err
    assert "a command was parked" in logged and "a query failed" in logged
    assert "in do" in logged and "in look" in logged  # with the handlers' own lines


@pytest.mark.parametrize("how", ["exit", "cancelled", "own"])
async def test_a_fold_that_raises_after_a_deploy_stops_its_agent_alone(
    shared_server: ServerProcess, topology: Topology, how: str, capfd: pytest.CaptureFixture[str]
) -> None:
    good, broken = counter(), counter(how)
    async with connect(shared_server.url, topology=topology, agents=[good]) as moon:
        async with Host(moon, [good], lease=2):
            await moon.ask("count/bad", Do())
        other = AgentType("other", Count, partitions=1)
        other.on_command(lone)
        other.on_event(lone_event)
        async with Host(moon, [broken, other], lease=2):
            with pytest.raises(Undecodable, match="on_event handler of Done failed"):
                await moon.query("count/bad", Look(), timeout=5)
            assert await moon.ask("other/a", Do(), timeout=5) == 1
        assert "in done" in capfd.readouterr().err
        async with Host(moon, [good], lease=2):
            assert await moon.query("count/bad", Look(), timeout=5) == 1


def lone(state: Count, command: Do) -> Decision:
    yield Reply(1)


def lone_event(state: Count, event: Done) -> Count:
    return state


async def test_an_outcome_that_one_agent_cant_take_reaches_the_others_of_its_batch(
    shared_server: ServerProcess, topology: Topology, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    agent_type = counter()
    take = group_commit.Append.tell
    failed = False

    def tell(self: group_commit.Append, result: object) -> None:
        nonlocal failed
        if self.subject.endswith(".bad") and not failed:
            failed = True
            done, calls = self.done, []

            def fails_once(result: object) -> None:
                calls.append(result)
                if len(calls) == 1:
                    raise SystemExit("planted")
                done(result)  # type: ignore[arg-type]

            self.done = fails_once
        take(self, result)  # type: ignore[arg-type]

    monkeypatch.setattr(group_commit.Append, "tell", tell)
    async with (
        connect(shared_server.url, topology=topology, agents=[agent_type]) as moon,
        Host(moon, [agent_type], lease=2),
    ):
        agents = ["count/bad", *(f"count/{n}" for n in range(30))]
        assert await asyncio.gather(*(moon.ask(a, Do(), timeout=8) for a in agents)) == [1] * 31
        assert await moon.ask("count/bad", Do(), timeout=5) == 2
    assert failed and [str(c["exception"]) for c in told] == ["planted"]


async def test_a_connection_whose_reader_or_writer_died_is_made_anew(
    shared_server: ServerProcess, topology: Topology
) -> None:
    agent_type = counter()
    async with (
        connect(shared_server.url, topology=topology, agents=[agent_type]) as moon,
        Host(moon, [agent_type], lease=2),
    ):
        wire = moon.bus._js._wire  # type: ignore[attr-defined]
        for end in ("read", "write"):
            assert await moon.ask("count/a", Do(), timeout=8) > 0
            if end == "read":
                parse, wire._ps.parse = wire._ps.parse, dies
                await asyncio.wait_for(until(lambda: not wire.ready), 10)
                wire._ps.parse = parse
            else:
                wire._flush_queue.put_nowait(object())  # what the writer can't make sense of
                await asyncio.wait_for(until(lambda: not wire.ready), 10)
        await asyncio.wait_for(until(lambda: wire.ready), 10)
        assert await moon.ask("count/a", Do(), timeout=8) > 0


async def dies(data: bytes = b"") -> None:
    raise asyncio.CancelledError


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0.01)
