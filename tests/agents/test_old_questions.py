"""Who asks what became of commands of long ago gets an answer, and keeps nobody waiting."""

import asyncio
import time
from typing import Any

import msgspec
import pytest

from moonlet.agents import Client, Host
from moonlet.agents.answering import old_outcomes, owner_service
from moonlet.agents.client.asking import ask_owner
from moonlet.core.errors import NoHost
from moonlet.core.ids import AgentId
from moonlet.streams import OWNER_OUTCOME, Answer, Question
from moonlet.testing import MoonServer
from tests.agents.accounts import Deposit, account_type
from tests.journals import write_deposits

OLD = AgentId("account", "s0")
COMMITS = 12_000


async def outcome(moon: Client, number: int, *, seconds: float = 60.0) -> Answer:
    """What the owner says of the old agent's command of this number."""
    home = await moon.registry.home("account")
    question = Question(agent=str(OLD), id=f"c-gen.{OLD}.{number}", sender="c-gen", number=number)
    until = asyncio.get_running_loop().time() + seconds
    while True:
        answer = await ask_owner(moon.bus, OWNER_OUTCOME, OLD, home, question, until=until)
        if not answer.error and answer.outcome != "waiting":
            return answer
        await asyncio.sleep(0.05)  # sleeps: between two questions of one who asks again


async def test_old_questions_keep_no_other_ask_waiting(moon_server: MoonServer) -> None:
    account = account_type()
    async with moon_server.connect(agents=[account]) as moon:
        await write_deposits(moon, 1, COMMITS)
        async with Host(moon, [account]):
            assert await moon.ask(str(OLD), Deposit(1), timeout=30) == COMMITS + 1
            old = [asyncio.create_task(outcome(moon, 1 + 700 * n)) for n in range(8)]
            waits: list[float] = []
            while not all(task.done() for task in old):
                began = time.monotonic()
                await moon.ask("account/other", Deposit(1), timeout=30)
                waits.append(time.monotonic() - began)
            answers = [task.result() for task in old]
            assert [answer.revision for answer in answers] == [1 + 700 * n for n in range(8)]
            assert max(waits) < 2.0, sorted(waits)[-5:]


async def test_a_flood_of_questions_is_bounded_and_those_beyond_ask_again(
    moon_server: MoonServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owner_service, "SERVING_MAX", 6)
    monkeypatch.setattr(old_outcomes, "SOUGHT_MAX", 2)
    monkeypatch.setattr(owner_service, "RECENT", 1)
    most = 0
    read = old_outcomes.OldOutcomes._read

    async def counted(self: Any, agent: AgentId, sought: dict[Any, Any]) -> None:
        nonlocal most
        most = max(most, self._count)
        await read(self, agent, sought)

    monkeypatch.setattr(old_outcomes.OldOutcomes, "_read", counted)
    account = account_type()
    async with moon_server.connect(agents=[account]) as moon:
        await write_deposits(moon, 1, 300)
        async with Host(moon, [account]):
            await moon.ask(str(OLD), Deposit(1))
            answers = await asyncio.gather(*(outcome(moon, n + 1) for n in range(30)))
            assert [answer.revision for answer in answers] == list(range(1, 31))
            assert 1 <= most <= 2


async def test_a_command_that_nobody_sent_has_no_outcome_and_costs_no_search(
    moon_server: MoonServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    searched: list[Any] = []
    search = old_outcomes.OldOutcomes.find

    async def noted(self: Any, agent: AgentId, command: Any, sequence: int) -> Any:
        searched.append((command, sequence))
        return await search(self, agent, command, sequence)

    monkeypatch.setattr(old_outcomes.OldOutcomes, "find", noted)
    account = account_type()
    async with moon_server.connect(agents=[account]) as moon:
        async with Host(moon, [account]):
            await moon.ask(str(OLD), Deposit(1), id="own")
        async with Host(moon, [account]):
            home = await moon.registry.home("account")
            for id, number in (("ghost", 0), ("c-ghost.1", 7)):
                question = Question(agent=str(OLD), id=id, sender="c-ghost", number=number)
                until = asyncio.get_running_loop().time() + 0.5
                with pytest.raises(NoHost):  # the answer waits for the command
                    await ask_owner(moon.bus, OWNER_OUTCOME, OLD, home, question, until=until)
            assert searched == []
            assert await moon.ask(str(OLD), Deposit(1), id="own") == 1
            assert {command[1] for command, _ in searched} == {"own"}
            assert all(sequence for _, sequence in searched), "it is known where it stands"


def test_a_trace_of_an_id_is_what_stands_in_a_commit() -> None:
    assert old_outcomes._trace("c-1.account.a.medium.7") == b"c-1.account.a.medium.7"
    for odd in ("ü", 'a"b', "a\\b", "a\nb"):
        assert old_outcomes._trace(odd) in msgspec.json.encode(odd)
