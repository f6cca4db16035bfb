"""The application's version stands in commits, leases and the console; a deploy is no tampering."""

import asyncio
from pathlib import Path

import msgspec
import pytest

from moonlet.agents import AgentType, Decision, Host, Reply, Send, connect
from moonlet.agents.client import Plain
from moonlet.agents.effects import outbox
from moonlet.agents.histories import Verification, retry_parked
from moonlet.agents.services.newer_code import is_newer
from moonlet.core.errors import InvalidAgentType, UnknownAgentType, UnknownCommand
from moonlet.core.ids import AgentId
from moonlet.streams import Leases, Topology, read_parked
from moonlet.streams.server.server_process import ServerProcess
from tests.console.support import run
from tests.faulty import until, until_true


class Add(msgspec.Struct, frozen=True):
    amount: int


class Added(msgspec.Struct, frozen=True):
    amount: int


class Double(msgspec.Struct, frozen=True):
    why: str = ""


class Doubled(msgspec.Struct, frozen=True):
    why: str


class Sum(msgspec.Struct, frozen=True):
    total: int = 0


class Forward(msgspec.Struct, frozen=True):
    to: str


def adder(version: str | None = None, *, times: int = 1, name: str = "adder") -> AgentType[Sum]:
    """Adds `times` what it is told."""
    made = AgentType(name, Sum, version=version)

    @made.on_command
    def add(state: Sum, command: Add) -> Decision:
        yield Added(command.amount * times)
        yield Reply(state.total + command.amount * times)

    @made.on_command
    def forward(state: Sum, command: Forward) -> Decision:
        yield Send(command.to, Add(1))

    @made.on_event
    def added(state: Sum, event: Added) -> Sum:
        return Sum(state.total + event.amount)

    return made


def test_a_version_is_that_of_the_package_unless_it_is_given() -> None:
    assert adder("1.2").version == "1.2"
    assert adder().version == ""  # these tests are no package that is installed
    with pytest.raises(InvalidAgentType, match="version"):
        adder("x" * 65)


async def test_a_version_stands_in_commits_leases_and_the_list_of_agents(
    shared_server: ServerProcess, name: str, tmp_path: Path
) -> None:
    topology = Topology(prefix=name)
    async with connect(shared_server.url, topology=topology) as moon:
        async with Host(moon, [adder("1.0")]), Host(moon, [adder("1.1")]):
            assert await moon.ask("adder/a", Add(5)) == 5
            [commit] = [commit async for commit in moon.history("adder/a")]
            assert commit.app_version in ("1.0", "1.1")
            leases = await Leases(moon.bus, 1).hosts()
            assert sorted(lease.versions["adder"] for lease in leases) == ["1.0", "1.1"]
            at = ("--url", shared_server.url, "--prefix", name)
            ended = await asyncio.to_thread(run, "agents", "--json", *at, folder=tmp_path)
            assert ended.records == [{"agent": "adder/a", "commits": 1, "versions": ["1.0", "1.1"]}]


@pytest.mark.parametrize(("today", "faults"), [("2.0", 0), ("1.0", 1), (None, 1)])
async def test_a_rule_that_a_deploy_changed_is_told_from_tampering(
    shared_server: ServerProcess, name: str, today: str | None, faults: int
) -> None:
    topology = Topology(prefix=name)
    agent = AgentId.parse("adder/a")
    async with connect(shared_server.url, topology=topology) as moon:
        async with Host(moon, [adder("1.0")]):
            for _ in range(3):
                await moon.ask("adder/a", Add(5))
        verification = Verification({"adder": adder(today, times=2)})
        stream = topology.journal_of("adder")
        verification.meet(agent, stream)
        found = []
        for sequence in (1, 2, 3):
            message = await moon.bus._js.message(stream, sequence)
            assert message is not None
            found.append(verification.take(agent, message))
        assert len([fault for fault in found if fault is not None]) == faults
        assert verification.changed == (0 if faults else 3)


def grown(version: str) -> AgentType[Sum]:
    """Knows a command and an event that `adder` does not."""
    made = adder(version)

    @made.on_command
    def double(state: Sum, command: Double) -> Decision:
        yield Doubled(command.why)
        yield Reply(state.total * 2)

    @made.on_event
    def doubled(state: Sum, event: Doubled) -> Sum:
        return Sum(state.total * 2)

    return made


async def test_an_old_host_leaves_a_command_that_it_does_not_know_to_a_newer_one(
    shared_server: ServerProcess, name: str
) -> None:
    topology = Topology(prefix=name)
    keys = [str(n) for n in range(12)]  # some in each of the four partitions
    async with (
        connect(shared_server.url, topology=topology) as moon,
        connect(shared_server.url, topology=topology) as other,
        connect(shared_server.url, topology=topology) as asker,
    ):
        async with Host(moon, [adder("1.0")], lease=2) as old:
            for key in keys:
                await asker.ask(f"adder/{key}", Add(5))
            with pytest.raises(UnknownCommand, match="Double"):
                await asker.ask("adder/0", Double())
            async with Host(other, [grown("1.10")], lease=2):
                await until(lambda: 0 < len(old.partitions) < 4)
                for key in keys:  # in order: what came after it waits
                    await asker.tell(f"adder/{key}", Double())
                    assert await asker.ask(f"adder/{key}", Add(1), timeout=20) == 11
                assert old.services.alarms["a type is left to hosts with newer code"] == 1
                assert old.partitions == []
                with pytest.raises(UnknownCommand, match="Triple"):  # nobody knows it
                    await asker.ask("adder/0", Plain("Triple", {}), timeout=20)
            await until(lambda: len(old.partitions) == 4)  # the newer one has left
            with pytest.raises(UnknownCommand, match="Double"):
                await asker.ask("adder/1x", Double())


async def test_an_old_host_leaves_an_agent_whose_events_it_cannot_read_to_a_newer_one(
    shared_server: ServerProcess, name: str
) -> None:
    topology = Topology(prefix=name)
    async with (
        connect(shared_server.url, topology=topology) as moon,
        connect(shared_server.url, topology=topology) as other,
        connect(shared_server.url, topology=topology) as asker,
    ):
        async with Host(other, [grown("2.0")]):
            assert await asker.ask("adder/a", Add(5)) == 5
            assert await asker.ask("adder/a", Double()) == 10
        async with Host(moon, [adder("1.9")], lease=2) as old:
            await asker.tell("adder/a", Add(1))
            agents = [partition.agents for partition in old.owned]
            await until(lambda: any(a.error for live in agents for a in live.values()))
            async with Host(other, [grown("2.0")], lease=2):  # it comes later, and has it
                assert await asker.ask("adder/a", Add(1), timeout=20) == 12
                assert old.partitions == []


def test_versions_are_compared_by_their_numbers() -> None:
    assert is_newer("1.10", "1.9")
    assert is_newer("v2", "1.9.9")
    for version, other in (("1.0", "1"), ("", "1"), ("1", ""), ("a", "b"), ("1", "2")):
        assert not is_newer(version, other), (version, other)


async def test_a_send_to_a_type_that_nobody_has_registered_yet_waits_for_it_with_an_alarm(
    shared_server: ServerProcess, name: str
) -> None:
    topology = Topology(prefix=name)
    async with connect(shared_server.url, topology=topology) as moon:
        async with Host(moon, [adder()]) as host:
            await moon.tell("adder/a", Forward("later/b"))
            await until(lambda: "a send waits for its agent type" in host.services.alarms)
            await asyncio.sleep(6)  # sleeps: it was given up after five seconds once
            async with Host(moon, [adder(name="later")]):

                async def arrived() -> bool:
                    return [c async for c in moon.history("later/b")] != []

                await until_true(arrived, within=20)


async def test_a_send_that_was_parked_since_nobody_ran_its_type_is_delivered_later(
    shared_server: ServerProcess, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once, as its agent's; also behind what the same agent has sent there since."""
    monkeypatch.setattr(outbox, "EFFECT_DEADLINE", 0.2)
    async with connect(shared_server.url, topology=Topology(prefix=name)) as moon:

        async def parked(count: int) -> bool:
            return len(await read_parked(moon.bus)) == count

        async def arrived(count: int) -> bool:
            return len([c async for c in moon.history("later/b")]) == count

        async with Host(moon, [adder()]):
            await moon.tell("adder/a", Forward("later/b"))
            await until_true(lambda: parked(1), within=20)
            (message,) = await read_parked(moon.bus)
            with pytest.raises(UnknownAgentType, match="later"):
                await retry_parked(moon.bus, message)
            assert await parked(1)
            async with Host(moon, [adder(name="later")]):
                await moon.tell("adder/a", Forward("later/b"))
                await until_true(lambda: arrived(1))
                for _ in range(2):
                    await retry_parked(moon.bus, message)
                await until_true(lambda: arrived(2))
                assert await parked(0)
                commits = [c async for c in moon.history("later/b")]
                assert [c.command.sender for c in commits] == ["adder/a", "adder/a"]
                causes = [c async for c in moon.history("adder/a")]
                assert commits[1].command.causation_id == causes[0].command.id
                assert await moon.ask("later/b", Add(1)) == 3
