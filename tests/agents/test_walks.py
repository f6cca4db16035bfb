"""Cold agents whose commits tell where the one before stands: walked back to, if that is cheaper.

What is told is a hint. Whatever it says, the state is that of the whole journal, or none.
"""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from moonlet.agents import Client, Host
from moonlet.agents.recovery import journal_walk, tail_reads
from moonlet.agents.recovery.journal_pass import JournalPass
from moonlet.agents.recovery.journal_walk import JournalWalk
from moonlet.core.errors import Undecodable
from moonlet.core.ids import AgentId
from moonlet.streams import EXPECTED_LAST, JetStream
from moonlet.streams.api import Headers, StoredMessage
from moonlet.streams.server.server_process import ServerProcess
from tests.agents.accounts import Deposit, GetBalance, account_type
from tests.faulty import FaultyJetStream, FaultyMoon
from tests.journals import deposit, write_deposits

AGENTS = 60
EACH = 4
SMALL = (
    ("WIDE", 6), ("WALK_WORTH", 5), ("WALK_COST", 2), ("PASS_WORTH", 1), ("PASS_FIXED", 0),
    ("GATHER_SHARE", 1.0),  # so that they come together on a busy machine too
)  # fmt: skip


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A walk is worth it for five agents already, and costs little."""
    for name, value in SMALL:
        monkeypatch.setattr(tail_reads, name, value)
    yield


@pytest.fixture
def ways(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """In which ways the journal was gone through: `walk`, `pass`."""
    begun: list[str] = []
    for name, kind in (("walk", JournalWalk), ("pass", JournalPass)):

        async def running(going: Any, name: str = name, run: Any = kind.run) -> None:
            begun.append(name)
            await run(going)

        monkeypatch.setattr(kind, "run", running)
    return begun


class Telling(FaultyJetStream):
    """Replicas whose messages by sequence are what `tell` makes of them; `told` counts them."""

    def __init__(self, inner: JetStream) -> None:
        super().__init__(inner)
        self.told = 0
        self.tell: Callable[[StoredMessage], StoredMessage | None] = lambda message: message

    async def replica_message(self, stream: str, sequence: int, **more: Any) -> Any:
        """As it is told here."""
        self.told += 1
        message = await self.inner.replica_message(stream, sequence, **more)
        return None if message is None else self.tell(message)


async def ask(moon: Client, count: int) -> list[object]:
    """A deposit for each of the first of the agents, at once."""
    calls = (moon.ask(f"account/s{n}", Deposit(1), timeout=30) for n in range(count))
    return list(await asyncio.gather(*calls, return_exceptions=True))


async def test_a_few_among_many_are_walked_back_to(
    shared_server: ServerProcess, name: str, ways: list[str]
) -> None:
    async with FaultyMoon(shared_server.url, name, over=Telling) as (moon, replica):
        await write_deposits(moon, AGENTS, EACH, told=True)
        async with Host(moon, [account_type()]):
            assert await ask(moon, 8) == [EACH + 1] * 8
            assert ways == ["walk"]
            assert replica.told <= 8 * EACH


async def test_many_are_read_in_a_pass(
    shared_server: ServerProcess, name: str, ways: list[str]
) -> None:
    async with FaultyMoon(shared_server.url, name, over=Telling) as (moon, _):
        await write_deposits(moon, AGENTS, EACH, told=True)
        async with Host(moon, [account_type()]):
            assert await ask(moon, AGENTS) == [EACH + 1] * AGENTS
            assert "pass" in ways


async def test_walks_on_end_once_they_cost_as_much_as_a_pass(
    shared_server: ServerProcess, name: str, ways: list[str]
) -> None:
    async with FaultyMoon(shared_server.url, name, over=Telling) as (moon, replica):
        await write_deposits(moon, AGENTS, EACH, told=True)
        async with Host(moon, [account_type()]):
            for first in range(0, AGENTS, 10):
                numbers = range(first, first + 10)
                calls = (moon.ask(f"account/s{n}", Deposit(1), timeout=30) for n in numbers)
                assert await asyncio.gather(*calls) == [EACH + 1] * 10
            assert replica.told <= AGENTS * EACH // 2


def headers_of(headers: Headers | None, told: str | None) -> dict[str, str]:
    """The same, but that another sequence is told, or none."""
    others = {key: value for key, value in (headers or {}).items() if key != EXPECTED_LAST}
    return others if told is None else {**others, EXPECTED_LAST: told}


LIES: dict[str, Callable[[StoredMessage], StoredMessage | None]] = {
    "none": lambda m: msgspec.structs.replace(m, headers=headers_of(m.headers, None)),
    "nothing": lambda m: msgspec.structs.replace(m, headers=None),
    "words": lambda m: msgspec.structs.replace(m, headers=headers_of(m.headers, "one")),
    "digits": lambda m: msgspec.structs.replace(m, headers=headers_of(m.headers, "²")),
    "huge": lambda m: msgspec.structs.replace(m, headers=headers_of(m.headers, "9" * 5000)),
    "behind": lambda m: msgspec.structs.replace(
        m, headers=headers_of(m.headers, str(m.sequence + AGENTS))
    ),
    "itself": lambda m: msgspec.structs.replace(m, headers=headers_of(m.headers, str(m.sequence))),
    "the first": lambda m: msgspec.structs.replace(m, headers=headers_of(m.headers, "0")),
    "another's": lambda m: msgspec.structs.replace(
        m, headers=headers_of(m.headers, str(max(0, m.sequence - AGENTS + 1)))
    ),
    "one left out": lambda m: msgspec.structs.replace(
        m, headers=headers_of(m.headers, str(max(0, m.sequence - 2 * AGENTS)))
    ),
    "of another subject": lambda m: msgspec.structs.replace(
        m, headers={**(m.headers or {}), f"{EXPECTED_LAST}-Subject": "moon.evt.account.x"}
    ),
    "a replica that lags": lambda m: None,
    "other bytes": lambda m: msgspec.structs.replace(m, data=b"no commit"),
}


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.replace(" ", "_"))
async def test_a_hint_that_is_wrong_leads_to_the_journal(
    shared_server: ServerProcess, name: str, ways: list[str], lie: str
) -> None:
    async with FaultyMoon(shared_server.url, name, over=Telling) as (moon, replica):
        await write_deposits(moon, AGENTS, EACH, told=True)
        replica.tell = LIES[lie]
        async with Host(moon, [account_type()]):
            assert await ask(moon, 8) == [EACH + 1] * 8
            assert ways[0] == "walk" and replica.told <= 8 * EACH
            assert [(await moon.state(f"account/s{n}")).balance for n in range(8)] == [5] * 8


async def test_a_hint_past_what_is_no_commit_does_not_hide_it(
    shared_server: ServerProcess, name: str, ways: list[str]
) -> None:
    """Somebody's garbage stands among an agent's commits, and the next commit tells of none."""
    async with FaultyMoon(shared_server.url, name, over=Telling) as (moon, replica):
        await write_deposits(moon, AGENTS, EACH, told=True)
        seven = AgentId("account", "s7")
        subject, before = moon.bus.subjects.journal(seven), ""
        garbage = await moon.bus.publish(subject, b"no commit", headers=None, timeout=5)
        for revision in range(1, EACH + 3):
            (payload, headers), before = deposit(seven, revision, before)
            if revision > EACH:
                last = garbage.sequence + revision - EACH - 1
                told = {**headers, EXPECTED_LAST: str(last)}
                await moon.bus.publish(subject, payload, headers=told, timeout=5)

        def past(message: StoredMessage) -> StoredMessage:
            if message.sequence != garbage.sequence + 1:
                return message
            own = str((EACH - 1) * AGENTS + 8)
            return msgspec.structs.replace(message, headers=headers_of(message.headers, own))

        replica.tell = past
        async with Host(moon, [account_type()]) as host:
            calls = [moon.ask(f"account/s{n}", Deposit(1), timeout=5) for n in range(10)]
            answers = await asyncio.gather(*calls, return_exceptions=True)
            assert [n for n, answer in enumerate(answers) if answer != EACH + 1] == [7]
            assert ways[0] == "walk"
            with pytest.raises(Undecodable, match="is no commit"):
                await moon.query("account/s7", GetBalance(), timeout=5)
            assert host.failure is None


async def test_no_more_is_held_than_may_be(
    shared_server: ServerProcess, name: str, ways: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_walk, "WALK_BYTES", 4_000)
    async with FaultyMoon(shared_server.url, name, over=Telling) as (moon, replica):
        await write_deposits(moon, AGENTS, EACH, told=True)
        async with Host(moon, [account_type()]):
            assert await ask(moon, 8) == [EACH + 1] * 8
            assert ways[0] == "walk" and replica.told < 8 * (EACH - 1)
