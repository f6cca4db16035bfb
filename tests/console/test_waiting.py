"""`waiting` and `parked`: what agents wait for now, and what could not be done, tried again."""

import asyncio
import base64
import re
from collections.abc import AsyncIterator

import msgspec
import pytest

from moonlet.agents import AgentType, Client, Decision, Host, Perform, Schedule, connect
from moonlet.agents.histories import retry_parked
from moonlet.core.errors import Invalid
from moonlet.core.ids import AgentId
from moonlet.replay.waiting import waiting_agents, waiting_of
from moonlet.streams import Topology, drop_parked, read_parked
from moonlet.streams.server.server_process import ServerProcess
from tests.console.support import invoke
from tests.faulty import until_true


class Explode(msgspec.Struct, frozen=True):
    n: int


class Begin(msgspec.Struct, frozen=True):
    pass


class Ring(msgspec.Struct, frozen=True):
    pass


class Ask(msgspec.Struct, frozen=True):
    pass


class Answer(msgspec.Struct, frozen=True):
    pass


class Noted(msgspec.Struct, frozen=True):
    n: int


class State(msgspec.Struct, frozen=True):
    sum: int = 0


def code(*, mended: bool) -> AgentType[State]:
    made = AgentType("odd", State)

    @made.on_command
    def explode(state: State, command: Explode) -> Decision:
        if not mended:
            raise KeyError("boom")
        yield Noted(command.n)

    @made.on_command
    def begin(state: State, command: Begin) -> Decision:
        yield Schedule(Ring(), after=3_600, name="alarm")
        yield Perform(Ask())

    @made.on_command
    def ring(state: State, command: Ring) -> Decision:
        yield Noted(0)

    @made.on_command
    def answer(state: State, command: Answer) -> Decision:
        yield Noted(0)

    @made.on_perform
    async def ask(call: Ask) -> Answer:
        await asyncio.Event().wait()
        return Answer()

    @made.on_event
    def noted(state: State, event: Noted) -> State:
        return State(state.sum + event.n)

    return made


@pytest.fixture
async def moon(shared_server: ServerProcess, name: str) -> AsyncIterator[Client]:
    async with connect(shared_server.url, topology=Topology(prefix=name)) as opened:
        yield opened


async def test_what_an_agent_waits_for_is_told(moon: Client) -> None:
    agent, bus = AgentId("odd", "a"), moon.bus
    async with Host(moon, [code(mended=False)]):
        receipt = await moon.tell("odd/a", Begin())
        await receipt.committed(timeout=10)
        await (await moon.tell("odd/a", Explode(1))).committed(timeout=10)
        await until_true(lambda: _parked(moon, 1))
        found = await waiting_of(bus, agent)
        assert list(found.calls) == ["odd/a:1.1"] and not found.nothing
        assert list(found.timers) == ["alarm"]
        assert found.timers["alarm"] - found.calls["odd/a:1.1"] == pytest.approx(3_600e6, rel=0.01)
        assert len(found.parked) == 1 and found.revision == 2
    await moon.tell("odd/a", Begin(), lane="critical")
    await moon.tell("odd/a", Begin())
    await moon.tell("odd/b", Begin())
    found = await waiting_of(bus, agent)
    assert [(q.lane, q.outside, q.commands) for q in found.queues] == [
        ("critical", True, 1), ("medium", True, 1),
    ]  # fmt: skip
    assert 0 <= found.queues[0].oldest < 30
    everyone = await waiting_agents(bus)
    assert everyone[agent] == {"commands": 2, "timers": 1, "calls": 1, "parked": 1}
    assert everyone[AgentId("odd", "b")] == {"commands": 1}
    nobody = await waiting_of(bus, AgentId("odd", "nobody"))
    assert nobody.nothing and nobody.revision == 0


async def _parked(moon: Client, count: int) -> bool:
    return len(await read_parked(moon.bus)) == count


async def test_what_is_parked_is_tried_again_as_a_new_command_once(moon: Client) -> None:
    async with Host(moon, [code(mended=False)]):
        old = await (await moon.tell("odd/a", Explode(5))).committed(timeout=10)
        assert old.outcome == "parked"
        assert re.fullmatch(r"test_waiting\.py:\d+ in explode", old.where)
        assert 0 < old.command.stored <= old.stored < old.command.stored + 10_000_000
        await until_true(lambda: _parked(moon, 1))
        (message,) = await read_parked(moon.bus)
        assert "boom" in message.stack and "test_waiting.py" in message.stack
        assert "in explode" in message.stack and message.attempts == 1
        again = await retry_parked(moon.bus, message)
        await until_true(lambda: _parked(moon, 1))
        (message,) = await read_parked(moon.bus)
        assert message.parked.id == again, "it failed again, and is parked anew"
    async with Host(moon, [code(mended=True)]):
        await retry_parked(moon.bus, message)
        await retry_parked(moon.bus, message)

        async def done() -> bool:
            return len([commit async for commit in moon.history("odd/a")]) == 3

        await until_true(done)
    commits = [commit async for commit in moon.history("odd/a")]
    assert [c.outcome for c in commits] == ["parked", "parked", "accepted"], "applied once"
    assert commits[1].command.causation_id == old.command.id
    assert {c.command.correlation_id for c in commits[1:]} == {old.command.id}
    assert await read_parked(moon.bus) == []
    assert not await drop_parked(moon.bus, 99)


def test_the_commands(shared_server: ServerProcess, name: str) -> None:
    rest = ("--url", shared_server.url, "--prefix", name)

    async def park() -> None:
        async with (
            connect(shared_server.url, topology=Topology(prefix=name)) as moon,
            Host(moon, [code(mended=False)]),
        ):
            for n in range(2):
                await (await moon.tell("odd/a", Explode(n))).committed(timeout=10)
            await until_true(lambda: _parked(moon, 2))

    empty = invoke("waiting", *rest)
    assert empty.code == 0 and "nobody waits for anything" in empty.err
    assert "nothing is parked" in invoke("parked", "list", *rest).err
    asyncio.run(park())
    assert "parked    1, 2" in invoke("waiting", "odd/a", *rest).out
    listed = invoke("parked", "list", *rest, "--json").records
    assert [each["number"] for each in listed] == [1, 2]
    assert "KeyError" in listed[0]["cause"]
    shown = invoke("parked", "show", "2", *rest)
    assert 'Explode {"n":1}' in shown.out and "in explode" in shown.out
    (record,) = invoke("parked", "show", "2", *rest, "--json").records
    assert b"Explode" in base64.b64decode(record["bytes"])
    assert invoke("parked", "drop", "1", *rest).code == 0
    missing = invoke("parked", "retry", "2", "1", *rest)
    assert missing.code == 2 and "nothing is parked under 1" in missing.err
    assert "2  sent again as retry:2:" in invoke("parked", "retry", "2", *rest).out
    (waits,) = invoke("waiting", *rest, "--json").records
    assert waits == {
        "agent": "odd/a", "commands": 1, "timers": 0, "calls": 0, "parked": 0, "stopped": 0,
        "blocked": 0,
    }  # fmt: skip
    assert "1 command from outside" in invoke("waiting", "odd/a", *rest).out


async def test_a_call_that_is_parked_can_t_be_made_again_by_others(moon: Client) -> None:
    async with Host(moon, [code(mended=False)]):
        await (await moon.tell("odd/a", Explode(1))).committed(timeout=10)
        await until_true(lambda: _parked(moon, 1))
    (message,) = await read_parked(moon.bus)
    gone = msgspec.structs.replace(message, parked=msgspec.structs.replace(
        message.parked, sequence=message.parked.sequence + 7))  # fmt: skip
    with pytest.raises(Invalid, match=r"odd/a@1, is not in .*: the journal is another; drop it"):
        await retry_parked(moon.bus, gone)
