"""What a host remembers of alarms, odd records and doubtful agents is bounded."""

import asyncio
from collections.abc import Coroutine
from types import SimpleNamespace
from typing import Any

import pytest

from moonlet.agents.live import Phase
from moonlet.agents.owner import doubtful_agents
from moonlet.agents.owner.doubtful_agents import DoubtfulAgents
from moonlet.agents.services import HostServices, host_services
from moonlet.core.ids import AgentId
from moonlet.streams.buckets import odd_records
from moonlet.streams.buckets.kv import Entry
from moonlet.streams.buckets.odd_records import OddRecords
from moonlet.telemetry import Repeats


class Log:
    """The lines that were written."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def error(self, what: str, **facts: Any) -> None:
        self.lines.append(what)

    warning = error


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Log:
    written = Log()
    monkeypatch.setattr(odd_records, "log", written)
    monkeypatch.setattr(host_services, "log", written)
    return written


def test_a_thousand_odd_records_are_named_once_each_and_of_more_one_line_is_written(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(odd_records, "NAMED_MAX", 3)
    odd = OddRecords("leases")
    for _ in range(5):  # a host looks again and again
        for number in range(10):
            odd.name(Entry(f"k{number}", b"", 1, 0), "no record")
    assert log.lines.count("a foreign record is ignored") == 3
    assert log.lines.count("more foreign records are ignored, unnamed") == 1
    assert len(odd.found) == 3
    odd.name(Entry("k0", b"", 2, 0), "no record")  # written again
    assert log.lines.count("a foreign record is ignored") == 4


def services() -> HostServices:
    """With nothing but its alarms."""
    made = HostServices.__new__(HostServices)
    made.bus = SimpleNamespace(clock=SimpleNamespace(monotonic=lambda: 0.0))  # type: ignore[assignment]
    made.alarms, made._repeats = {}, Repeats(lambda: 0.0)
    return made


def test_kinds_of_mistakes_that_are_remembered_are_bounded(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("moonlet.telemetry.repeats.KINDS_MAX", 5)
    host = services()
    for number in range(100):
        host.complain("a handler failed", f"kind {number}")
        assert len(host._repeats._last) <= 5
    assert len(log.lines) == 100


def test_what_is_said_once_is_remembered_for_so_many_and_still_counted(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("moonlet.telemetry.repeats.ONCE_MAX", 5)
    host = services()
    for number in range(100):
        host.alarm_once("a state is odd", f"field {number}")
    assert len(log.lines) == len(host._repeats._once) == 5
    assert host.alarms == {"a state is odd": 100}


class Doubted:
    """An agent with nothing in flight."""

    def __init__(self, key: str) -> None:
        self.id = AgentId("account", key)
        self.fold: Any = object()
        self.phase = Phase.RUNNING
        self.forgotten = 0

    def forget(self) -> None:
        self.forgotten += 1

    def wake(self) -> None:
        pass


async def test_agents_that_are_looked_at_or_read_again_are_bounded(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doubtful_agents, "UNPROVED_MAX", 3)
    monkeypatch.setattr(doubtful_agents, "READ_AGAIN_MAX", 2)
    agents: dict[str, Any] = {key: Doubted(key) for key in "abcdefgh"}
    tasks: list[asyncio.Task[None]] = []

    def spawn(work: Coroutine[None, None, None], name: str) -> asyncio.Task[None]:
        tasks.append(asyncio.ensure_future(work))
        return tasks[-1]

    doubtful = DoubtfulAgents(services(), "account-p0", agents, spawn)
    for agent in agents.values():
        doubtful.unproved(agent)
    assert {doubtful.next(), doubtful.next(), doubtful.next()} == {agents[key] for key in "abc"}
    assert doubtful.next() is None
    for key in agents:
        doubtful.changed_in_place(f"account/{key}", "on_command add")
    await asyncio.gather(*tasks)
    assert [agent.forgotten for agent in agents.values()] == [1, 1, 0, 0, 0, 0, 0, 0]
