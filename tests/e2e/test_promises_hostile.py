"""What comes from outside is hostile: bad input, foreign bytes, damaged records, full disks."""

import asyncio
import math
import secrets
import shutil
from pathlib import Path

import msgspec
import pytest

from moonlet.agents import AgentType, Client, Decision, Host, Plain, Rejected, Reply, connect
from moonlet.core.errors import (
    Corrupt,
    Expired,
    InvalidId,
    InvalidMessage,
    MailboxFull,
    MoonletError,
    PayloadTooLarge,
    Undecodable,
    UnknownAgentType,
    UnknownCommand,
)
from moonlet.core.hlc import Timestamp
from moonlet.core.ids import AgentId
from moonlet.streams import ServerRefused, Snapshots, Topology
from moonlet.streams.server.server_process import ServerProcess
from tests.agents.accounts import (
    Account,
    Deposit,
    Fail,
    GetBalance,
    account_type,
)
from tests.checkers import histories
from tests.faulty import until, until_true


class Price(msgspec.Struct, frozen=True):
    value: float


class Nest(msgspec.Struct, frozen=True):
    body: object


def price_type() -> AgentType[Account]:
    feed = AgentType("feed", Account)

    @feed.on_command
    def price(state: Account, command: Price) -> Decision:
        yield Reply(command.value)

    @feed.on_command
    def nest(state: Account, command: Nest) -> Decision:
        yield Reply("kept")

    return feed


def nested(depth: int) -> object:
    body: object = 1
    for _ in range(depth):
        body = [body]
    return body


@pytest.mark.parametrize("encoding", ["json", "msgpack"])
async def test_bad_input_is_a_typed_error_and_nothing_is_stored(
    shared_server: ServerProcess, name: str, encoding: str
) -> None:
    async with connect(
        shared_server.url,
        topology=Topology(prefix=name),
        encoding=encoding,  # type: ignore[arg-type]
    ) as moon:
        async with Host(moon, [account_type(), price_type()]):
            refused: list[tuple[str, object, type[MoonletError], str]] = [
                ("nobody/a", Deposit(1), UnknownAgentType, "nobody"),
                ("account/a", Plain("Nope", {}), UnknownCommand, "Nope"),
                ("account/a", Plain("Deposit", {"amount": "x"}), InvalidMessage, r"\$.amount"),
                ("account/a", Plain("Deposit", {}), InvalidMessage, "amount"),
                ("feed/a", Price(math.nan), InvalidMessage, r"\$.value"),
                ("feed/a", Price(-math.inf), InvalidMessage, r"\$.value"),
                ("feed/a", Plain("Price", {"value": math.inf}), InvalidMessage, "value"),
                ("feed/a", Nest(nested(100)), InvalidMessage, "64"),
                ("feed/a", Nest(nested(100_000)), InvalidMessage, "64"),
                ("feed/a", Nest("x" * 9_000_000), PayloadTooLarge, "uncompressed"),
                *[
                    (f"account/{key}", Deposit(1), InvalidId, "key")
                    for key in ("a.b", "*", ">", "a b", "a\r\nb", "ä", "", "a" * 129)
                ],
            ]
            for agent, command, error, text in refused:
                with pytest.raises(error, match=text):
                    await moon.tell(agent, command)
                with pytest.raises(error, match=text):
                    await moon.ask(agent, command)
            assert [c async for c in moon.history("account/a")] == []
            assert [c async for c in moon.history("feed/a")] == []
            assert await moon.ask("feed/a", Nest(nested(60))) == "kept"


@pytest.mark.parametrize("encoding", ["json", "msgpack"])
async def test_a_sender_without_the_code_is_told_by_the_owner(
    shared_server: ServerProcess, name: str, encoding: str
) -> None:
    """The same mistakes, seen only where the agent's code is: each is a commit, and an error."""
    topology = Topology(prefix=name)
    async with (
        connect(shared_server.url, topology=topology) as hosting,
        Host(hosting, [account_type(), price_type()]),
        connect(
            shared_server.url,
            topology=topology,
            encoding=encoding,  # type: ignore[arg-type]
        ) as moon,
    ):
        with pytest.raises(UnknownCommand, match="Nope"):
            await moon.ask("account/a", Plain("Nope", {"deep": nested(50)}))
        with pytest.raises(InvalidMessage, match=r"\$.amount"):
            await moon.ask("account/a", Plain("Deposit", {"amount": "x"}))
        assert await moon.ask("account/a", Deposit(3)) == 3
        commits = [c async for c in moon.history("account/a")]
        assert [(c.outcome, c.error) for c in commits] == [
            ("rejected", "UnknownCommand"),
            ("rejected", "InvalidMessage"),
            ("accepted", ""),
        ]


async def test_a_command_of_nearly_the_limit_fits_and_one_over_it_does_not(
    shared_server: ServerProcess, name: str
) -> None:
    """Incompressible, so that what is counted is what is sent."""
    async with connect(shared_server.url, topology=Topology(prefix=name)) as moon:
        async with Host(moon, [price_type()]):
            room = moon.bus.command_limit - 2_000
            text = secrets.token_urlsafe(room)[:room]
            assert await moon.ask("feed/a", Nest(text)) == "kept"
            over = secrets.token_urlsafe(2_000_000)
            with pytest.raises(PayloadTooLarge) as caught:
                await moon.tell("feed/a", Nest(over))
            assert caught.value.value > caught.value.limit == moon.bus.command_limit


async def test_a_handler_that_raises_parks_its_command_and_the_agent_goes_on(
    shared_server: ServerProcess, name: str
) -> None:
    async with connect(shared_server.url, topology=Topology(prefix=name)) as moon:
        async with Host(moon, [account_type()]):
            with pytest.raises(Rejected, match="parked: ValueError: no luck"):
                await moon.ask("account/a", Fail("no luck"))
            assert await moon.ask("account/a", Deposit(3)) == 3
            subject = moon.bus.subjects.parked(AgentId.parse("account/a"))
            stream = moon.bus.topology.stream("parked")

            async def noted() -> bool:
                return await moon.bus._js.last_message(stream, subject) is not None

            await until_true(noted)
            message = await moon.bus._js.last_message(stream, subject)
            assert message is not None and message.headers is not None
            assert "no luck" in message.headers["Moonlet-Cause"]
            assert "accounts.py" in message.headers["Moonlet-Stack"]


async def test_a_command_that_is_late_expires(shared_server: ServerProcess, name: str) -> None:
    account = account_type()
    async with connect(shared_server.url, topology=Topology(prefix=name)) as moon:
        async with Host(moon, [account]):
            await moon.ask("account/a", Deposit(1))
        soon = Timestamp(moon.bus.clock.now_us() + 50_000).datetime
        late = await moon.tell("account/a", Deposit(1), deadline=soon)
        await asyncio.sleep(0.06)  # the deadline itself
        async with Host(moon, [account]):
            commit = await late.committed()
            assert commit.outcome == "expired"
            with pytest.raises(Expired):
                await moon.ask("account/a", Deposit(1), deadline=soon)
            assert await moon.query("account/a", GetBalance()) == 1


async def test_foreign_bytes_in_every_subject_stop_nobody(
    shared_server: ServerProcess, name: str
) -> None:
    junk = [b"", b"\xff\xfe\x00", b"{", b"[" * 100_000, b'{"id":1}', b"null", b'"' + b"x" * 9_000]
    async with connect(shared_server.url, topology=Topology(prefix=name)) as moon:
        async with Host(moon, [account_type()]):
            assert await moon.ask("account/a", Deposit(1)) == 1
            a, js = AgentId.parse("account/a"), moon.bus._js
            subjects, home = moon.bus.subjects, await moon.registry.home("account")
            for data in junk:
                for subject in (
                    subjects.mailbox(a, "medium", home),
                    subjects.internal(a, "high", home),
                    subjects.fire(a, home),
                    subjects.call(a),
                    subjects.snapshot(a),
                ):
                    await js.publish(subject, data, timeout=5)
                for service in ("query", "outcome", "control"):
                    for partition in range(4):
                        subject = subjects.owners(service, "account", home.pool, partition)
                        js.post(subject, data, reply="x.y")
            assert await moon.ask("account/a", Deposit(1), lane="low") == 2
            found = (await histories(moon, ["account/a"]))["account/a"]
            parked = [c for c in found if c.outcome == "parked"]
            assert len(parked) == 3 * len(junk)
            assert all(c.command.id.startswith("foreign:") for c in parked)


async def test_an_answer_is_never_stored_in_a_stream_of_ours(
    shared_server: ServerProcess, name: str
) -> None:
    """Who may send commands can't have a host write to a journal, by naming it for the answer."""
    types = account_type()
    async with (
        connect(shared_server.url, agents=[types], topology=Topology(prefix=name)) as moon,
        Host(moon, [types]),
    ):
        await moon.ask("account/a", Deposit(1))
        moon._sender._inbox = f"{name}.evt.account"
        asked = [
            asyncio.create_task(moon.ask("account/a", Deposit(1), timeout=2)),
            asyncio.create_task(moon.query("account/a", GetBalance(), timeout=2)),
        ]
        await asyncio.gather(*asked, return_exceptions=True)
        stream = moon.bus.topology.journal_of("account")
        subjects = await moon.bus._js.stream_subjects(stream, ">")
        assert subjects == {f"{name}.evt.account.a": 2}


async def test_an_undecodable_record_stops_its_agent_and_no_other(
    shared_server: ServerProcess, name: str
) -> None:
    account = account_type(partitions=1)
    topology = Topology(prefix=name)
    async with connect(shared_server.url, topology=topology) as moon:
        async with Host(moon, [account]):
            await moon.ask("account/bad", Deposit(1))
        stream = moon.bus.topology.journal_of("account")
        ack = await moon.bus.publish(
            moon.bus.subjects.journal(AgentId.parse("account/bad")), b"rubbish", timeout=5
        )
        deep = [await moon.tell("account/bad", Deposit(1)) for _ in range(1_500)]
        async with Host(moon, [account]):
            with pytest.raises(Undecodable) as caught:
                await moon.query("account/bad", GetBalance())
            assert f"{stream}: the message at sequence {ack.sequence}" in str(caught.value)
            assert await moon.ask("account/good", Deposit(1)) == 1
            status = await moon.order("account/bad", "status")
            assert status["status"] == "broken" and status["held"] == len(deep)


async def test_a_record_that_was_changed_is_corrupt(
    shared_server: ServerProcess, name: str
) -> None:
    """The chain is broken by a record that was not the agent's next commit."""
    account = account_type()
    async with connect(shared_server.url, topology=Topology(prefix=name)) as moon:
        async with Host(moon, [account]):
            await moon.ask("account/a", Deposit(1))
            await moon.ask("account/a", Deposit(1))
        stream = moon.bus.topology.journal_of("account")
        first = await moon.bus._js.message(stream, 1)
        assert first is not None
        await moon.bus.publish(first.subject, first.data, timeout=5)
        async with Host(moon, [account]):
            with pytest.raises(Corrupt, match="history was changed"):
                await moon.query("account/a", GetBalance())


async def test_nobody_edits_history(shared_server: ServerProcess, name: str) -> None:
    async with connect(shared_server.url, topology=Topology(prefix=name)) as moon:
        async with Host(moon, [account_type()]):
            await moon.ask("account/a", Deposit(1))
            js, stream = moon.bus._js, moon.bus.topology.journal_of("account")
            with pytest.raises(ServerRefused):
                await js.purge_stream(stream, moon.bus.subjects.journal(AgentId("account", "a")))
            answer = await js.request(
                f"$JS.API.STREAM.MSG.DELETE.{stream}", b'{"seq":1}', timeout=5
            )
            assert b"10057" in answer.data
            info = await js.stream_info(stream)
            assert info is not None
            for flag in ("deny_delete", "deny_purge"):
                with pytest.raises(ServerRefused):
                    await js.update_stream({**info["config"], flag: False})


async def test_a_corrupt_snapshot_is_ignored(shared_server: ServerProcess, name: str) -> None:
    account = account_type()
    async with connect(shared_server.url, topology=Topology(prefix=name)) as moon:
        async with Host(moon, [account]):
            for _ in range(20):
                await moon.ask("account/a", Deposit(1))
        agent = AgentId.parse("account/a")
        snapshots = Snapshots(moon.bus)
        snapshot = await snapshots.load(agent)
        assert snapshot is not None and snapshot.revision == 20
        wrong = msgspec.msgpack.encode(Account(balance=1_000_000))
        for damaged in (
            msgspec.structs.replace(snapshot, state=wrong, digest="0" * 32),
            msgspec.structs.replace(snapshot, state=b"\xc1"),
            msgspec.structs.replace(snapshot, state=wrong, incarnation="another stream's"),
            msgspec.structs.replace(snapshot, state=wrong, sequence=snapshot.sequence + 99),
            msgspec.structs.replace(snapshot, state=wrong, revision=19),
        ):
            landed = snapshots.store(agent, damaged)
            assert landed is not None
            await landed
            async with Host(moon, [account]):
                assert await moon.query("account/a", GetBalance()) == 20


async def test_a_full_mailbox_refuses_and_stores_nothing(
    shared_server: ServerProcess, name: str
) -> None:
    account = account_type()
    topology = Topology(prefix=name, mailbox=10)
    async with connect(shared_server.url, topology=topology) as moon:
        async with Host(moon, [account]):
            await moon.ask("account/a", Deposit(1))
        receipts = [await moon.tell("account/a", Deposit(1)) for _ in range(10)]
        with pytest.raises(MailboxFull, match="account/a"):
            await moon.tell("account/a", Deposit(100))
        await moon.tell("account/b", Deposit(1))  # the bound is per agent
        async with Host(moon, [account]):
            for receipt in receipts:
                await receipt.committed()
            assert await moon.ask("account/a", Deposit(1)) == 12


async def test_a_full_journal_pushes_back_and_goes_on_when_there_is_room(
    shared_server: ServerProcess, name: str
) -> None:
    """A limit of the stream stands for the full disk: nothing is lost, nothing done twice."""
    account = account_type()
    async with connect(shared_server.url, topology=Topology(prefix=name)) as moon:
        async with Host(moon, [account]) as host:
            await moon.ask("account/a", Deposit(1))
            js, stream = moon.bus._js, moon.bus.topology.journal_of("account")
            info = await js.stream_info(stream)
            assert info is not None
            await js.update_stream({**info["config"], "max_msgs": 3, "discard": "new"})
            receipts = [await moon.tell(f"account/a{i % 3}", Deposit(1)) for i in range(12)]

            async def alarmed() -> bool:
                return "journal full" in host.services.alarms

            await until_true(alarmed)
            await js.update_stream({**info["config"], "max_msgs": -1, "discard": "old"})
            for receipt in receipts:
                assert (await receipt.committed(timeout=15)).outcome == "accepted"
            found = await histories(moon, [f"account/a{i}" for i in range(3)])
            assert [len(commits) for commits in found.values()] == [4, 4, 4]


async def test_a_journal_that_went_back_stops_its_agents_until_the_epoch_is_raised(
    own_server: ServerProcess, name: str, tmp_path: Path
) -> None:
    """The stream is replaced by an older copy of itself while the host stays up."""
    account = account_type()
    store, copy = tmp_path / "server0" / "data", tmp_path / "older"
    async with connect(own_server.url, topology=Topology(prefix=name)) as moon:
        async with Host(moon, [account], lease=2) as host:
            assert await moon.ask("account/a", Deposit(1)) == 1
            own_server.stop()
            shutil.copytree(store, copy)
            own_server.start()
            assert await moon.ask("account/a", Deposit(1), timeout=20) == 2
            assert await moon.ask("account/a", Deposit(1), timeout=20) == 3
            own_server.kill()
            shutil.rmtree(store)
            shutil.copytree(copy, store)
            own_server.start()
            with pytest.raises(Corrupt, match="older state"):
                await _query(moon)
            stream = moon.bus.topology.journal_of("account")
            info = await moon.bus._js.stream_info(stream)
            assert info is not None
            await moon.bus._js.update_stream({**info["config"], "metadata": {"moonlet.epoch": "1"}})
            await until(lambda: len(host.partitions) == 4)  # the leases went back too
        async with Host(moon, [account], lease=2):
            assert await moon.query("account/a", GetBalance(), timeout=20) == 1


async def _query(moon: Client) -> None:
    """Query until the connection is back."""
    for _ in range(20):
        try:
            await moon.query("account/a", GetBalance(), timeout=5)
            await asyncio.sleep(0.1)
        except Corrupt:
            raise
        except MoonletError:
            continue
