"""What an agent counted is known again after whatever: more senders and ids than memory holds."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from moonlet.agents import Client, Host
from moonlet.agents.effects import caused_envelope
from moonlet.agents.recovery import snapshot_policy
from moonlet.core import fold as folds
from moonlet.core.commit import Commit
from moonlet.core.envelope import Envelope
from moonlet.core.errors import Conflict
from moonlet.core.ids import AgentId
from moonlet.core.memory import past, runs, windows
from moonlet.streams import (
    encode_envelope,
    purge_subject,
    subject_counts,
)
from moonlet.testing import MoonServer
from tests.agents.accounts import Deposit, GetBalance, Transfer, account_type
from tests.faulty import until_true

HUB = AgentId("account", "hub")


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits so small that some dozens of senders cross each."""
    monkeypatch.setattr(windows, "SENDERS", 4)
    monkeypatch.setattr(folds, "IDS", 3)
    monkeypatch.setattr(past, "SPILL", 4)
    monkeypatch.setattr(past, "RECALLED_MAX", 8)
    monkeypatch.setattr(runs, "PAGE_FACTS", 3)
    monkeypatch.setattr("moonlet.agents.recovery.past_keeper.FANOUT", 3)
    monkeypatch.setattr("moonlet.streams.journal.pasts.INDEX_PAGES", 2)
    monkeypatch.setattr(snapshot_policy, "SNAPSHOT_EVERY", 8)
    monkeypatch.setattr(snapshot_policy, "SNAPSHOT_AT_REST", 2)


async def commits(moon: Client, agent: AgentId = HUB) -> list[Commit[Any]]:
    return [commit async for commit in moon.history(str(agent))]


async def arrive(moon: Client, envelope: Envelope) -> None:
    """It is delivered once more, after the server has forgotten its message id."""
    bus = moon.bus
    home = await moon.registry.home(envelope.agent.partition("/")[0])
    payload, headers = encode_envelope(envelope, "json", bus.command_limit)
    to = AgentId.parse(envelope.agent)
    subject = bus.subjects.internal(to, envelope.lane, home)
    await bus.publish(subject, payload, headers=headers, timeout=5.0)


async def settled(moon: Client) -> None:
    """Nothing waits any more."""

    async def is_empty() -> bool:
        counts = [
            await subject_counts(moon.bus, moon.bus.topology.stream(name))
            for name in ("mailboxes", "internal")
        ]
        return not any(counts)

    await until_true(is_empty)


def sent_again(commit: Commit[Any]) -> Envelope:
    """A commit's first effect, as its agent's next recovery would send it."""
    effect = commit.effects[0]
    assert effect.message is not None
    body = msgspec.Raw(msgspec.json.encode(effect.message.body))
    raw = msgspec.structs.replace(
        commit, effects=(msgspec.structs.replace(effect, message=msgspec.structs.replace(
            effect.message, body=body)),))  # fmt: skip
    return caused_envelope(raw, 0, agent=effect.target, lane=effect.lane)


@pytest.fixture(params=["kept", "all gone", "pages gone", "list gone"])
def loss(request: pytest.FixtureRequest) -> Iterator[str]:
    """What is lost of what stands beside the journal while no host runs."""
    yield request.param


async def test_more_senders_than_memory_holds_are_known_after_restarts(
    moon_server: MoonServer, loss: str
) -> None:
    account = account_type(partitions=1)
    async with moon_server.connect(agents=[account]) as moon:
        async with Host(moon, [account]):
            for n in range(24):
                await moon.tell(f"account/n{n}", Transfer(str(HUB), 1))
            await settled(moon)
        old = [sent_again((await commits(moon, AgentId("account", f"n{n}")))[0]) for n in range(24)]
        stream, subject = moon.bus.topology.stream("snapshots"), moon.bus.subjects.snapshot(HUB)
        assert await subject_counts(moon.bus, stream, f"{subject}.past"), "runs are stored"
        if loss != "kept":
            parts = {"all gone": [subject, f"{subject}.>"], "pages gone": [f"{subject}.past.*.*"],
                     "list gone": [f"{subject}.past"]}  # fmt: skip
            assert sum([await purge_subject(moon.bus, stream, part) for part in parts[loss]])
        async with Host(moon, [account]):
            for _ in range(2):
                for envelope in old:
                    await arrive(moon, envelope)
                await settled(moon)
            assert await moon.query(str(HUB), GetBalance()) == 24
            await moon.tell("account/n0", Transfer(str(HUB), 1))
            await settled(moon)
            assert await moon.query(str(HUB), GetBalance()) == 25
        assert len(await commits(moon)) == 25


async def test_runs_that_vanish_under_a_living_owner_are_read_from_the_journal(
    moon_server: MoonServer,
) -> None:
    account = account_type(partitions=1)
    async with moon_server.connect(agents=[account]) as moon, Host(moon, [account]) as host:
        for n in range(24):
            await moon.tell(f"account/n{n}", Transfer(str(HUB), 1))
        await settled(moon)
        old = [sent_again((await commits(moon, AgentId("account", f"n{n}")))[0]) for n in range(24)]
        stream, subject = moon.bus.topology.stream("snapshots"), moon.bus.subjects.snapshot(HUB)
        partition = host.partition("account", 0)
        assert partition is not None

        async def stored() -> bool:
            fold = partition.agent("hub").fold
            return fold is not None and fold.past.stored.revision > 0

        await until_true(stored)
        assert await purge_subject(moon.bus, stream, f"{subject}.>")
        for envelope in old:
            await arrive(moon, envelope)
        await settled(moon)
        assert await moon.query(str(HUB), GetBalance()) == 24
        assert len(await commits(moon)) == 24


async def test_ids_and_sessions_are_known_at_any_delay_with_their_outcome(
    moon_server: MoonServer,
) -> None:
    account = account_type(partitions=1)
    async with moon_server.connect(agents=[account]) as moon:
        async with Host(moon, [account]):
            for n in range(20):
                await moon.ask(str(HUB), Deposit(1), id=f"order-{n}")
            for _ in range(12):
                async with moon_server.connect() as other:
                    await other.ask(str(HUB), Deposit(1))
        first = await commits(moon)
        async with Host(moon, [account]):
            assert await moon.ask(str(HUB), Deposit(1), id="order-0") == 1, "the same outcome"
            receipt = await moon.tell(str(HUB), Deposit(1), id="order-1")
            assert (await receipt.committed()).revision == 2
            with pytest.raises(Conflict):
                await moon.ask(str(HUB), Deposit(2), id="order-2")
            for commit in first:
                command = commit.command
                envelope = Envelope(
                    id=command.id, agent=str(HUB), name=command.name,
                    body=msgspec.Raw(msgspec.json.encode(command.body)), lane=command.lane,
                    sender=command.sender, number=command.number,
                )  # fmt: skip
                await arrive(moon, envelope)
            await settled(moon)
            assert await moon.query(str(HUB), GetBalance()) == 32
        assert len(await commits(moon)) == len(first) == 32


async def test_a_number_far_ahead_makes_nothing_vanish(moon_server: MoonServer) -> None:
    account = account_type(partitions=1)
    async with moon_server.connect(agents=[account]) as moon, Host(moon, [account]):
        await moon.ask(str(HUB), Deposit(1))
        session = (await commits(moon))[0].command.sender
        far = Envelope(
            id="far", agent=str(HUB), name="Deposit", body=msgspec.Raw(b'{"amount":1}'),
            sender=session, number=2**62,
        )  # fmt: skip
        for _ in range(2):
            await arrive(moon, far)
            await settled(moon)
        assert [await moon.ask(str(HUB), Deposit(1)) for _ in range(3)] == [3, 4, 5]
        told = (await commits(moon))[1].command
        assert (told.id, told.number, told.by_id) == ("far", 2**62, True)


async def test_what_was_out_when_an_agent_came_to_rest_is_not_sent_again(
    moon_server: MoonServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot_policy, "SNAPSHOT_AT_REST", 1_000)
    account = account_type(partitions=1)
    async with moon_server.connect(agents=[account]) as moon:
        async with Host(moon, [account], idle_after=0.2) as host:
            await moon.tell("account/rests", Transfer(str(HUB), 1))

            async def gone() -> bool:
                return host.agents == 0

            await settled(moon)
            await until_true(gone)
            await moon.tell("account/stays", Transfer(str(HUB), 1))
            await settled(moon)
        stream = moon.bus.topology.stream("snapshots")

        async def noted() -> bool:
            counts = await subject_counts(moon.bus, stream)
            return {s.split(".")[3] for s in counts if s.endswith(".out")} == {"rests", "stays"}

        await until_true(noted)
        internal = moon.bus.topology.stream("internal")
        before = await _last_sequence(moon, internal)
        async with Host(moon, [account]):
            for name in ("rests", "stays"):
                await moon.ask(f"account/{name}", Deposit(3))
            await settled(moon)
        assert await _last_sequence(moon, internal) == before, "nothing went out again"
        dispatched = [c.dispatched for c in await commits(moon, AgentId("account", "rests"))]
        assert dispatched == [0, 1]


async def _last_sequence(moon: Client, stream: str) -> int:
    info = await moon.bus._js.stream_info(stream)
    assert info is not None
    return int(info["state"]["last_seq"])


async def test_an_owner_that_stored_meanwhile_is_not_overwritten(moon_server: MoonServer) -> None:
    """Two owners, one of them stopped before: each stores; what either stored is never lost."""
    account = account_type(partitions=1)
    async with moon_server.connect(agents=[account]) as moon, Host(moon, [account]) as host:
        for n in range(12):
            await moon.tell(f"account/n{n}", Transfer(str(HUB), 1))
        await settled(moon)
        partition = host.partition("account", 0)
        assert partition is not None
        agent = partition.agent("hub")
        assert agent.fold is not None
        agent.fold.past.place = 1  # as if another had stored since
        for n in range(12, 24):
            await moon.tell(f"account/n{n}", Transfer(str(HUB), 1))
        await settled(moon)
        for n in range(24):
            await arrive(moon, sent_again((await commits(moon, AgentId("account", f"n{n}")))[0]))
        await settled(moon)
        assert await moon.query(str(HUB), GetBalance()) == 24


async def test_a_client_numbers_no_further_ahead_than_is_believed(
    moon_server: MoonServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in ("client.sending", "deciding.decide", "deciding.known"):
        monkeypatch.setattr(f"moonlet.agents.{place}.WINDOW", 4)
    account = account_type(partitions=1)
    async with moon_server.connect(agents=[account]) as moon, Host(moon, [account]):
        for n in range(3):
            await moon.ask(str(HUB), Deposit(1))
            for m in range(6):  # each takes a number that is never sent
                await moon.ask(str(HUB), Deposit(1), id=f"own-{n}-{m}")
        numbered = [c.command for c in await commits(moon) if c.command.number]
    assert not any(command.by_id for command in numbered)
    assert [command.number for command in numbered] == [1, 3, 3], "of a session each"
    assert len({command.sender for command in numbered}) == 3
