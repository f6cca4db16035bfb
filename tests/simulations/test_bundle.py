"""A real server's history goes on in worlds: taken at one moment, kept in a file, under faults."""

import asyncio
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest

from moonlet.agents import AgentManager, Client, Host
from moonlet.agents.effects import outbox
from moonlet.core.errors import Corrupt, InvalidSettings, Unavailable
from moonlet.core.ids import AgentId
from moonlet.simulations import World, faults, simulate
from moonlet.simulations.bundle import (
    Bundle,
    read_bundle,
    registered,
    take_bundle,
    types_of,
    write_bundle,
)
from moonlet.simulations.replay import read_sim, replay, save
from moonlet.simulations.scenario import Scenario
from moonlet.streams import Topology
from moonlet.testing import MoonServer
from tests.agents.accounts import (
    Account,
    Deposit,
    DepositLater,
    Fail,
    Fill,
    GetBalance,
    Transfer,
)
from tests.faulty import until_true
from tests.simulations.small import continued
from tests.simulations.worlds import ACCOUNT, CALM

KEYS = "abcde"
LATER = 300.0
TOTAL = 20 * len(KEYS) + 1 + 7
"""What `live` deposits, the deposit counted that still waits when the hosts have left."""


async def live(moon: Client) -> None:
    """Some of everything, then the hosts leave and commands wait."""
    async with Host(moon, [ACCOUNT]):
        for key in KEYS:
            for _ in range(20):  # so many that a host that leaves takes a snapshot
                await moon.tell(f"account/{key}", Deposit(1))
        for key, other in pairwise(KEYS):
            await moon.ask(f"account/{key}", Transfer(f"account/{other}", 5))
        await (await moon.tell("account/a", Fail())).committed()
        await (await moon.tell("account/big", Fill(events=15, size=100_000))).committed()
        await (await moon.tell("account/e", DepositLater(1_000, after=LATER))).committed()
        await moon.ask("account/e", Deposit(1))
    await moon.tell("account/a", Deposit(7))
    await moon.tell("account/b", Transfer("account/c", 3))


async def go_on(moon: Client) -> None:
    """What happens next, in the real world and in the simulated one."""
    for key in "acbc":  # c twice: what b sends to it has come by then
        await moon.ask(f"account/{key}", Deposit(1))


async def real_states(moon: Client) -> dict[str, Account]:
    """The states as of now, from the real journals."""
    return {key: await moon.state(f"account/{key}") for key in (*KEYS, "big")}


def told(history: Path, body: object, *, seeds: int = 1, kinds: object = None) -> Scenario:
    scenario: Scenario = simulate(
        agents=[ACCOUNT],
        hosts=2,
        seeds=seeds,
        faults=faults.none() if kinds is None else kinds,  # type: ignore[arg-type]
        history=history,
    )(body).scenario  # type: ignore[arg-type]
    return scenario


@pytest.mark.timeout(120)
def test_a_world_goes_on_where_the_real_server_stood(
    moon_server: MoonServer, tmp_path: Path
) -> None:
    path = tmp_path / "night.bundle"
    steps: list[tuple[int, int]] = []

    async def real() -> tuple[Bundle, dict[str, Account], dict[str, Account]]:
        async with moon_server.connect() as moon:
            moon.learn(ACCOUNT)
            await live(moon)
            before = await real_states(moon)
            bundle = await take_bundle(moon.bus, progress=lambda *step: steps.append(step))
            async with Host(moon, [ACCOUNT]):  # the real one goes on
                await go_on(moon)
            return bundle, before, await real_states(moon)

    bundle, before, after = asyncio.run(real())
    assert steps and steps[-1][0] <= steps[-1][1]
    digest = write_bundle(path, bundle)
    again, same = read_bundle(path)
    assert (again, same) == (bundle, digest)
    assert types_of(bundle) == {"account"} and registered(bundle)["account"] == 2

    async def body(world: World) -> None:
        first = {agent: history.commits for agent, history in world.chronicle.histories.items()}
        assert len(first["account/a"]) >= 23
        async with world.client() as moon:
            await go_on(moon)
            assert await moon.query("account/e", GetBalance()) == after["e"].balance
        await world.settle()
        assert await world.states("account") == after
        assert before != after
        await world.advance(f"{LATER + 1}s")
        await world.settle()
        states = await world.states("account")
        assert states["e"].balance == after["e"].balance + 1_000  # the timer of the real one

    for servers in (1, 3):
        profile = msgspec.structs.replace(CALM, servers=servers, commit_latency=servers * 100_000)
        run = told(path, body).run(0, plan=(), profile=profile)
        if run.error is not None:
            raise run.error
        assert "an agent is recovered from a snapshot" in run.reached


async def money(world: World) -> None:
    """Transfers among the accounts of the history; nothing of it is lost or created."""
    async with world.client() as moon:
        for number in range(12):
            source, target = world.seed.dice("money").sample(KEYS, 2)
            await moon.tell(f"account/{source}", Transfer(f"account/{target}", number))
            await world.advance("300ms")
    await world.settle()
    assert sum(state.balance for state in (await world.states("account")).values()) == TOTAL


@pytest.mark.timeout(180)
def test_a_history_is_continued_under_all_faults(moon_server: MoonServer, tmp_path: Path) -> None:
    path = tmp_path / "money.bundle"

    async def real() -> None:
        async with moon_server.connect() as moon:
            await live(moon)
            write_bundle(path, await take_bundle(moon.bus))

    asyncio.run(real())
    scenario = told(path, money, kinds=faults.all())
    for seed in range(12):
        run = scenario.run(seed)
        assert run.error is None, f"seed {seed}: {run.error}"
        assert run.commits > 130
    assert scenario.run(3).digest == scenario.run(3).digest


def test_an_agent_that_was_stopped_stays_stopped(moon_server: MoonServer, tmp_path: Path) -> None:
    path = tmp_path / "stopped.bundle"

    async def real() -> None:
        async with moon_server.connect() as moon:
            manager = AgentManager(moon)
            await manager.register_agent(ACCOUNT)
            await moon.ask("account/a", Deposit(1))
            await manager.stop_agent("account/a")
            await moon.tell("account/a", Deposit(5))
            await manager.shutdown()
            write_bundle(path, await take_bundle(moon.bus))

    asyncio.run(real())

    async def body(world: World) -> None:
        async with world.client() as moon:
            assert await moon.ask("account/b", Deposit(1)) == 1
        await world.settle()
        assert (await world.states("account"))["a"].balance == 1

    run = told(path, body).run(0)
    assert run.error is None, run.error


def test_what_an_operator_removed_from_the_parked_stream_is_not_missed(
    moon_server: MoonServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "parked.bundle"
    monkeypatch.setattr(outbox, "EFFECT_DEADLINE", 1.0)

    async def real() -> None:
        async with moon_server.connect() as moon:
            async with Host(moon, [ACCOUNT]):
                await (await moon.tell("account/a", Fail())).committed()
                await (await moon.tell("account/a", Transfer("nobody/x", 1))).committed()
                await moon.ask("account/a", Deposit(1))

                async def noted() -> bool:
                    held = await moon.bus._js.stream_info(moon.bus.topology.stream("parked"))
                    return held is not None and held["state"]["last_seq"] == 2

                await until_true(noted, within=60)  # a type that nobody runs is waited for
                await moon.ask("account/a", Deposit(1))  # its commit says that all is out
            await moon.bus._js.purge_stream(moon.bus.topology.stream("parked"), ">")
            write_bundle(path, await take_bundle(moon.bus))

    async def body(world: World) -> None:
        async with world.client() as moon:
            assert await moon.ask("account/a", Deposit(1)) == 2
        await world.settle()

    asyncio.run(real())
    told(path, body).run(0).check()


async def test_a_server_that_is_never_still_is_refused(moon_server: MoonServer) -> None:
    async with moon_server.connect() as moon, Host(moon, [ACCOUNT]):
        await moon.ask("account/a", Deposit(1))
        states = 0
        real = moon.bus._js.stream_info

        async def busy(name: str) -> object:
            nonlocal states
            states += 1
            if name == moon.bus.topology.stream("mailboxes"):
                await moon.tell("account/a", Deposit(1))
            return await real(name)

        moon.bus._js.stream_info = busy  # type: ignore[method-assign,assignment]
        with pytest.raises(Unavailable, match=r"not still for one moment in 0\.2 s"):
            await take_bundle(moon.bus, patience=0.2)
        assert states > 20


async def test_a_server_is_taken_while_its_hosts_are_idle(moon_server: MoonServer) -> None:
    async with moon_server.connect() as moon, Host(moon, [ACCOUNT]):
        await moon.ask("account/a", Deposit(1))
        bundle = await take_bundle(moon.bus)
        leases = bundle.stream(moon.bus.topology.bucket("leases"))
        assert leases is not None and len(leases.messages) == 2  # the records, no host
        assert bundle.taken > leases.messages[-1].time


async def test_a_server_without_agents_is_said_to_be_so(moon_server: MoonServer) -> None:
    async with moon_server.connect() as moon:
        with pytest.raises(InvalidSettings, match="no journals of agents are on"):
            await take_bundle(moon.bus)


async def test_a_history_that_was_changed_is_refused(moon_server: MoonServer) -> None:
    async with moon_server.connect() as moon:
        async with Host(moon, [ACCOUNT]):
            await moon.ask("account/a", Deposit(1))
        bus = moon.bus
        subject = bus.subjects.journal(AgentId.parse("account/a"))
        last = await bus._js.last_message(bus.topology.journal_streams[0], subject)
        assert last is not None
        headers = {k: v for k, v in (last.headers or {}).items() if "Expected" not in k}
        await bus.publish(subject, last.data, headers=headers, timeout=5)
        with pytest.raises(Corrupt, match="account/a revision 2: revision 1 follows revision 1"):
            await take_bundle(bus)


# files from anywhere


def small(**changes: object) -> Bundle:
    """A bundle of one empty journal."""
    topology = Topology()
    journal = topology.configs()[0]
    held = {"name": journal["name"], "config": journal, "created": 1, "first": 1, "last": 0}
    bundle = {"taken": 10, "server": "2.12.0", "topology": topology, "streams": [held]}
    return msgspec.convert({**bundle, **changes, "streams": [{**held, "messages": []}]}, Bundle)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "some.bundle"


def test_a_file_that_is_none_or_of_tomorrow_is_the_users_mistake(path: Path) -> None:
    with pytest.raises(InvalidSettings, match="No such file"):
        read_bundle(path)
    for data in (b"", b"moonlet bundle", b"\x1f\x8b", b"moonlet bundle one 2\n", b"x" * 1_000):
        path.write_bytes(data)
        with pytest.raises(InvalidSettings, match="is no bundle"):
            read_bundle(path)
    path.write_bytes(b"moonlet bundle 2 00\n")
    with pytest.raises(InvalidSettings, match="has version 2"):
        read_bundle(path)


def test_a_changed_or_cut_file_is_corrupt(path: Path) -> None:
    write_bundle(path, small())
    assert path.stat().st_mode & 0o777 == 0o600
    whole = path.read_bytes()
    for place in range(len(whole) - 40, len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(Corrupt):
            read_bundle(path)
    path.write_bytes(whole[:-3])
    with pytest.raises(Corrupt, match="changed or cut short"):
        read_bundle(path)


HOSTILE: dict[str, tuple[dict[str, Any], str]] = {
    "no such stream": ({"name": "elsewhere"}, "does not have"),
    "bounds": ({"first": 9, "last": 1}, "bounds"),
    "created": ({"created": -1}, "time of creation"),
    "subjects": ({"config": {"subjects": ["$SYS.>"]}}, "not those of the topology"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_what_no_server_could_hold_is_corrupt(what: str, path: Path) -> None:
    changes, message = HOSTILE[what]
    bundle = small()
    held = msgspec.structs.replace(bundle.streams[0], **changes)
    write_bundle(path, msgspec.structs.replace(bundle, streams=[held]))
    with pytest.raises(Corrupt, match=message):
        read_bundle(path)


STORED: dict[str, tuple[list[tuple[int, str]], str]] = {
    "out of order": ([(2, "moon.evt.a.b"), (1, "moon.evt.a.b")], "out of order"),
    "twice": ([(2, "moon.evt.a.b"), (2, "moon.evt.a.b")], "out of order"),
    "beyond the end": ([(9, "moon.evt.a.b")], "out of order or bounds"),
    "a wildcard": ([(2, "moon.evt.a.*")], "none of the stream's"),
    "an empty token": ([(2, "moon.evt.a..b")], "none of the stream's"),
    "another stream's": ([(2, "moon.cmd.a.b")], "none of the stream's"),
}


@pytest.mark.parametrize("what", STORED)
def test_messages_that_no_server_could_hold_are_corrupt(what: str, path: Path) -> None:
    places, message = STORED[what]
    bundle = small()
    messages = [
        {"subject": subject, "sequence": n, "time": 5, "headers": None, "data": b""}
        for n, subject in places
    ]
    held = msgspec.to_builtins(bundle.streams[0])
    held |= {"messages": messages, "first": 1, "last": 5}
    hostile = msgspec.convert({**msgspec.to_builtins(bundle), "streams": [held]}, Bundle)
    write_bundle(path, hostile)
    with pytest.raises(Corrupt, match=message):
        read_bundle(path)


def test_no_bundle_unpacks_beyond_its_limit(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_bundle(path, small(server="x" * 5_000))
    monkeypatch.setattr("moonlet.simulations.bundle.bundle.PLAIN_MAX", 4_000)
    with pytest.raises(Exception, match="at most 4,000 bytes unpacked"):
        read_bundle(path)


def test_a_history_needs_its_agents_and_their_partitions(path: Path) -> None:
    bundle = small()
    registry = {config["name"]: config for config in Topology().configs()}["KV_moon-registry"]
    stored = {"sequence": 1, "time": 5, "headers": None}
    journal = msgspec.to_builtins(bundle.streams[0]) | {"last": 1}
    journal["messages"] = [stored | {"subject": "moon.evt.savings.a", "data": b""}]
    types = {"name": "KV_moon-registry", "config": registry, "created": 1, "first": 1, "last": 1}
    subject = "$KV.moon-registry.type.account"
    types["messages"] = [stored | {"subject": subject, "data": b'{"partitions":7}'}]
    streams = [journal, types]
    whole = msgspec.convert({**msgspec.to_builtins(bundle), "streams": streams}, Bundle)
    write_bundle(path, whole)
    with pytest.raises(InvalidSettings, match="the types savings, which the test does not run"):
        told(path, money).run(0)
    write_bundle(path, msgspec.structs.replace(whole, streams=whole.streams[1:]))
    with pytest.raises(Corrupt, match="has no moon-journal-main"):
        told(path, money).run(0)
    empty = msgspec.structs.replace(whole.streams[0], messages=[])
    write_bundle(path, msgspec.structs.replace(whole, streams=[empty, whole.streams[1]]))
    with pytest.raises(InvalidSettings, match="has 7 partitions of account, the test 2"):
        told(path, money).run(0)
    with pytest.raises(InvalidSettings, match="take one with `moonlet sim import"):
        told(path.with_name("gone.bundle"), money).run(0)


def test_a_kept_run_goes_on_with_the_history_it_began_with_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    digest = write_bundle(Path("bank.bundle"), small())
    run = continued.run(1)
    assert run.failure.startswith("AssertionError")  # nothing waits in an empty bundle
    kept = Path("kept.sim")
    save(run, kept)
    assert read_sim(kept).header.history == digest
    assert replay(kept, exact=True).digest == run.digest
    write_bundle(Path("bank.bundle"), small(server="2.13.0"))
    with pytest.raises(InvalidSettings, match=r"began with another bundle than bank\.bundle"):
        replay(kept)
