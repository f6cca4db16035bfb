"""What a host remembers of its journals over a reconnect."""

import asyncio
from typing import cast

import pytest

from moonlet.agents.services import HostServices
from moonlet.core.errors import Corrupt
from moonlet.streams import Bus, Registry, StreamFacts, SystemClock, Topology

STREAM = "moon-journal-main"


class Server:
    """A journal's end and incarnation, answered when a test lets it."""

    def __init__(self, end: int, incarnation: str) -> None:
        self.end = end
        self.now = incarnation
        self.open = asyncio.Event()
        self.open.set()
        self.topology = Topology()
        self._js = None
        self.clock = SystemClock()

    async def backoff(self, attempt: int) -> None:
        await asyncio.sleep(0)

    async def facts(self, stream: str) -> StreamFacts:
        await self.open.wait()
        return StreamFacts(stream, 1, self.end, self.end, 0, 0, self.now, 0, 0, {})

    async def incarnation(self) -> str:
        await self.open.wait()
        return self.now


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    return Server(9, "first/0")


class NoMarks:
    """Nothing stands beside the journals, and nothing is kept there."""

    async def read(self, _stream: str) -> None: ...

    async def witnessed(self, _stream: str, _types: object) -> None: ...


@pytest.fixture
async def services(server: Server, monkeypatch: pytest.MonkeyPatch) -> HostServices:
    """Of a host that saw the journal's first incarnation up to 9, and was cut off then."""
    monkeypatch.setattr("moonlet.agents.services.host_services.GroupCommit", lambda *_, **__: None)
    for name in ("Mailboxes", "Timers", "ParkedStream", "Snapshots", "BlockedMarks"):
        monkeypatch.setattr(f"moonlet.agents.services.host_services.{name}", lambda _: None)
    monkeypatch.setattr(
        "moonlet.agents.services.journal_ends.facts_up_to",
        lambda _, name, end: server.facts(name),
    )
    monkeypatch.setattr(
        "moonlet.agents.services.journal_ends.stream_facts", lambda _, name: server.facts(name)
    )
    monkeypatch.setattr(
        "moonlet.agents.services.journal_ends.reached_by", lambda *_: asyncio.sleep(0)
    )
    made = HostServices(cast(Bus, server), cast(Registry, None))
    monkeypatch.setattr(made.ends, "_store", NoMarks())
    monkeypatch.setattr(made.ends, "journal", lambda _: server)
    assert await made.ends.learn(STREAM, []) == ""
    made.ends.note(STREAM, 9)
    made.ends.reconnected()
    return made


async def test_agents_that_come_back_together_may_all_ask_for_a_new_journals_end(
    server: Server, services: HostServices
) -> None:
    server.now, server.end = "second/1", 0  # an operator accepted the loss
    server.open.clear()
    asked = [asyncio.create_task(services.ends.check(STREAM)) for _ in range(3)]
    await asyncio.sleep(0)
    server.open.set()
    await asyncio.gather(*asked)


async def test_a_journal_that_went_back_is_told_of(server: Server, services: HostServices) -> None:
    server.end = 8
    with pytest.raises(Corrupt, match="ends at 8, but 9 was acknowledged"):
        await services.ends.check(STREAM)


async def test_a_journal_made_anew_is_told_of_until_its_loss_is_accepted(
    server: Server, services: HostServices
) -> None:
    server.now, server.end = "second/0", 20
    for _ in range(2):
        with pytest.raises(Corrupt, match="deleted, and another made in its place"):
            await services.ends.check(STREAM)
    server.now = "second/1"
    assert await services.ends.judge(STREAM) == ""
    await services.ends.check(STREAM)


async def test_what_was_acknowledged_while_it_was_asked_stays_known(
    server: Server, services: HostServices
) -> None:
    server.now, server.end = "second/1", 3
    server.open.clear()
    asked = asyncio.create_task(services.ends.check(STREAM))
    await asyncio.sleep(0)
    server.open.set()
    await asked
    services.ends.note(STREAM, 10)
    services.ends.reconnected()
    with pytest.raises(Corrupt, match="ends at 3, but 10 was acknowledged"):
        await services.ends.check(STREAM)


class SlowWriter:
    """A group commit whose last append lands when a test lets it."""

    def __init__(self, *_: object, **__: object) -> None:
        self.landed = asyncio.Event()

    async def drain(self) -> None:
        await self.landed.wait()


async def test_a_journal_that_is_first_written_while_others_drain_disturbs_nobody(
    services: HostServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A partition's task died of it, and its agents with it (found by simulation)."""
    monkeypatch.setattr("moonlet.agents.services.host_services.GroupCommit", SlowWriter)
    first = cast(SlowWriter, services.writer("moon-journal-risk"))
    draining = asyncio.ensure_future(services.drain())
    await asyncio.sleep(0)
    second = cast(SlowWriter, services.writer("moon-journal-money"))
    second.landed.set()
    first.landed.set()
    await draining
