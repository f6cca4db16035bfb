"""A client of the same account that means harm: what the product itself can stop.

It may publish everywhere, as nothing forbids it here; what only permissions can stop is in
`test_permissions.py`.
"""

import asyncio
import resource
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import msgspec
import pytest
import zstandard

from moonlet.agents import AgentType, Client, Decision, Host, Perform, Reply, connect
from moonlet.agents.answering import owner_service
from moonlet.core.codec import ENCODING_HEADER
from moonlet.core.envelope import Envelope
from moonlet.core.errors import Conflict, Corrupt, MoonletError, Unknown
from moonlet.core.fold import effect_number
from moonlet.core.ids import AgentId, partition_of
from moonlet.streams import (
    Answer,
    Leases,
    Message,
    Question,
    Registry,
    Topology,
    decode_answer,
    decode_envelope,
    encode_answer,
    encode_question,
)
from moonlet.streams.server.server_process import ServerProcess
from tests.agents.accounts import (
    Account,
    Announce,
    Deposit,
    Fail,
    GetBalance,
    Transfer,
    account_type,
)
from tests.checkers import histories
from tests.faulty import until, until_true

A, B = AgentId("account", "a"), AgentId("account", "b")


@asynccontextmanager
async def running(
    server: ServerProcess, name: str, *types: AgentType[Account]
) -> AsyncGenerator[Client]:
    """A client, and a host of accounts, or of these types."""
    async with connect(server.url, topology=Topology(prefix=name)) as moon:
        async with Host(moon, types or [account_type()]):
            yield moon


def envelope(agent: AgentId, amount: int = 1, **fields: object) -> bytes:
    """A deposit, as a foreign client would write it."""
    body = msgspec.Raw(msgspec.json.encode({"amount": amount}))
    plain = {"id": "x", "agent": str(agent), "name": "Deposit", "body": body, **fields}
    return msgspec.json.encode(plain)


async def balance(moon: Client, agent: AgentId, wanted: int) -> None:
    """Wait until it has it."""

    async def has() -> bool:
        return bool(await moon.query(str(agent), GetBalance()) == wanted)

    await until_true(has)


async def test_a_client_that_says_it_is_an_agent_is_not_believed(
    shared_server: ServerProcess, name: str
) -> None:
    """Its number would be that agent's highest, and all that the agent sends then, a duplicate."""
    async with running(shared_server, name) as moon:
        subject = moon.bus.subjects.mailbox(A, "medium", await moon.registry.home("account"))
        forged = envelope(A, sender=str(B), number=effect_number(10**6, 0))
        await moon.bus.publish(subject, forged, timeout=5)
        await balance(moon, A, 1)
        await moon.ask(str(B), Transfer(str(A), 5))
        await balance(moon, A, 6)
        first = (await histories(moon, [str(A)]))[str(A)][0]
        assert (first.command.sender, first.command.number) == ("", 0)


async def test_an_id_that_was_taken_beforehand_takes_nothing_away(
    shared_server: ServerProcess, name: str
) -> None:
    """Whatever the server had under that id: sends, topics, notes of what is parked, commands."""
    async with running(shared_server, name) as moon:
        bus, subjects = moon.bus, moon.bus.subjects
        home = await moon.registry.home("account")
        dummy = AgentId("account", "dummy")

        async def take(subject: str, *ids: str) -> None:
            for id in ids:
                await bus.publish(subject, b"{}", headers={"Nats-Msg-Id": id}, timeout=5)

        sends = [f"{B}/{A}/medium/{effect_number(1, index)}" for index in range(3)]
        await take(subjects.internal(dummy, "medium", home), *sends)
        own = [f"{A}/{moon._sender.session}/medium/{number}" for number in range(1, 4)]
        own += [f"{B}/{moon._sender.session}/medium/{number}" for number in range(1, 4)]
        await take(subjects.mailbox(dummy, "medium", home), *own)
        ids = [f"{A}:{revision}.{index}" for revision in range(4) for index in (0, 1)]
        await take(subjects.topic("other"), *ids)
        failed = f"{moon._sender.session}.account.b.medium.2"
        await take(subjects.parked(dummy), f"parked/{B}/2/{failed}")

        await moon.ask(str(A), Announce("news", "it is so"))
        await moon.ask(str(B), Transfer(str(A), 5))
        with pytest.raises(MoonletError, match="parked"):
            await moon.ask(str(B), Fail())
        await balance(moon, A, 5)
        assert await moon.ask(str(A), Deposit(1)) == 6
        for stream, subject in (("topics", subjects.topic("news")), ("parked", subjects.parked(B))):

            async def stands(stream: str = stream, subject: str = subject) -> bool:
                return await bus._js.last_message(bus.topology.stream(stream), subject) is not None

            await until_true(stands)


class Look(msgspec.Struct, frozen=True):
    pass


class Page(msgspec.Struct, frozen=True):
    pass


class Seen(msgspec.Struct, frozen=True):
    pass


def reader_type(calls: list[str]) -> AgentType[Account]:
    reader = AgentType("reader", Account)

    @reader.on_command
    def look(state: Account, command: Look) -> Decision:
        yield Perform(Page())

    @reader.on_perform
    async def page(call: Page, call_id: str) -> Seen:
        calls.append(call_id)
        return Seen()

    @reader.on_command
    def seen(state: Account, command: Seen) -> Decision:
        yield Reply()

    return reader


async def test_a_call_whose_id_was_taken_runs_and_a_foreign_one_keeps_nobody_waiting(
    shared_server: ServerProcess, name: str
) -> None:
    calls: list[str] = []
    async with running(shared_server, name, account_type(), reader_type(calls)) as moon:
        bus, subjects = moon.bus, moon.bus.subjects
        reader, ghost = AgentId("reader", "a"), AgentId("ghost", "a")
        call = msgspec.json.encode(
            Envelope("x", str(ghost), "Page", msgspec.Raw(b"{}"), call="ghost/a:1.0")
        )
        for number in range(70):  # more than run at once
            headers = {"Nats-Msg-Id": f"{reader}:{number}.0"}
            await bus.publish(subjects.call(reader), call, headers=headers, timeout=5)
        await moon.ask(str(reader), Look())

        async def answered() -> bool:
            commits = (await histories(moon, [str(reader)]))[str(reader)]
            return [commit.command.name for commit in commits] == ["Look", "Seen"]

        await until_true(answered)
        assert calls == ["reader/a:1.0"]


JUNK = (b"", b"junk", b"{}", b"[" * 1_000, b'{"host":"other","types":[],"started":0}')


async def test_records_that_are_none_stop_no_host(shared_server: ServerProcess, name: str) -> None:
    """In the buckets of leases and types; the partitions' own records are written over."""
    async with running(shared_server, name) as moon:
        assert await moon.ask(str(A), Deposit(1)) == 1
        leases = f"$KV.{name}-leases."
        registry = f"$KV.{name}-registry."
        for data in JUNK:
            for subject in (
                f"{leases}host.h-junk-1",
                f"{leases}host.h.junk",
                f"{leases}part.account.99999999",
                f"{leases}part.account.x",
                f"{leases}part.junk",
                f"{registry}type.junk",
                f"{registry}stopped.account.$",
                *(f"{leases}part.account.{number}" for number in range(4)),
            ):
                await moon.bus.publish(subject, data, timeout=5)
        for odd in (b'{"slots":0}', b'{"slots":-1}', b'{"slots":4,"pool":"*"}', b'{"slots":9999}'):
            await moon.bus.publish(f"{registry}type.odd", odd, timeout=5)
        async with running(shared_server, name) as other:
            async with asyncio.timeout(20):
                for number in range(8):
                    assert await other.ask(f"account/n{number}", Deposit(1)) == 1
            with pytest.raises(Corrupt, match=r"type\.odd"):
                await other.ask("odd/a", Deposit(1))
        reader = Leases(moon.bus, 1)
        await reader.look()
        assert {"host.h-junk-1", "host.h.junk", "part.account.x", "part.junk"} <= set(
            reader.odd.found
        )
        types = Registry(moon.bus)
        assert list(await types.types()) == ["account"]
        assert set(types.odd.found) == {"type.junk", "type.odd"}


async def test_a_receipt_gives_only_its_own_commit(shared_server: ServerProcess, name: str) -> None:
    """Another's command of the same id, and an answer that names another commit."""
    async with running(shared_server, name) as moon:
        home = await moon.registry.home("account")
        subject = moon.bus.subjects.mailbox(A, "medium", home)
        await moon.ask(str(A), Deposit(1))
        id = f"{moon._sender.session}.account.a.medium.2"
        await moon.bus.publish(
            subject, envelope(A, 100, id=id, sender="c-evil", number=1), timeout=5
        )
        await balance(moon, A, 101)
        receipt = await moon.tell(str(A), Deposit(7))
        assert receipt.id == id
        commit = await receipt.committed()
        assert commit.command.body == {"amount": 7}

        def lie(message: Message) -> None:
            stream = moon.bus.topology.journal_of("account")
            answer = Answer("accepted", receipt.id, stream=stream, sequence=1, revision=1)
            data, headers = encode_answer(answer, "json")
            moon.bus.post(message.reply, data, headers=headers)

        asked = moon.bus.subjects.owner("outcome", A, home)
        async with connect(shared_server.url, topology=Topology(prefix=name)) as evil:
            await evil.bus.subscribe(asked, lie)
            told = await moon.tell(str(A), Deposit(9))
            for _ in range(5):
                assert (await told.committed()).command.body == {"amount": 9}
            absent = msgspec.structs.replace(told._envelope, id="never", number=99)
            told._envelope = absent
            with pytest.raises(Unknown):
                while True:  # the owner may answer first that it waits
                    await told.committed(timeout=1)


@pytest.mark.parametrize("recent", [owner_service.RECENT, 0], ids=["recent", "from the journal"])
async def test_another_sender_of_the_same_id_does_not_shadow_an_outcome(
    shared_server: ServerProcess, name: str, recent: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor one in another lane: whether its owner remembers both, or searches the journal."""
    monkeypatch.setattr(owner_service, "RECENT", recent)
    async with running(shared_server, name) as moon:
        home = await moon.registry.home("account")
        receipt = await moon.tell(str(A), Deposit(7))
        await balance(moon, A, 7)
        forged = envelope(A, 100, id=receipt.id, sender="c-evil", number=1)
        await moon.bus.publish(moon.bus.subjects.mailbox(A, "medium", home), forged, timeout=5)
        await balance(moon, A, 107)
        session = moon._sender.session
        lane = envelope(A, 1000, id=receipt.id, sender=session, number=1, lane="high")
        await moon.bus.publish(moon.bus.subjects.mailbox(A, "high", home), lane, timeout=5)
        await balance(moon, A, 1107)
        mine = Question(str(A), receipt.id, sender=session, number=1)
        others = {"sender": "c-evil"}, {"lane": "high"}
        questions = [mine, *(msgspec.structs.replace(mine, **other) for other in others)]
        told = await asyncio.gather(*(asked_outcome(moon, question) for question in questions))
        assert [answer.revision for answer in told] == [1, 2, 3]


async def asked_outcome(moon: Client, question: Question) -> Answer:
    """What the owner says of a command."""
    payload, headers = encode_question(question, "json")
    agent = AgentId.parse(question.agent)
    subject = moon.bus.subjects.owner("outcome", agent, await moon.registry.home(agent.type))
    told = await moon.bus.request(subject, payload, headers=headers, timeout=5)
    return decode_answer(told.data, told.headers)


async def test_a_number_that_another_used_first_is_a_conflict(
    shared_server: ServerProcess, name: str
) -> None:
    """Sessions and numbers stand in commits: who reads them can use the next one first."""
    async with running(shared_server, name) as moon:
        home = await moon.registry.home("account")
        subject = moon.bus.subjects.mailbox(A, "medium", home)
        session = moon._sender.session
        for number in (1, 2):
            id = f"{session}.account.a.medium.{number}"
            forged = envelope(A, 100, id=id, sender=session, number=number)
            await moon.bus.publish(subject, forged, timeout=5)
        await balance(moon, A, 200)
        with pytest.raises(Conflict, match="used before, with another command"):
            await moon.ask(str(A), Deposit(7))
        with pytest.raises(Conflict, match="used before, with another command"):
            await (await moon.tell(str(A), Deposit(8))).committed()
        assert await moon.ask(str(A), Deposit(9)) == 209


async def test_only_the_answer_to_its_own_question_is_believed(
    shared_server: ServerProcess, name: str
) -> None:
    """Who has seen a client's questions can't answer the next one, nor this with another's."""
    lie = Answer("accepted", "another", 666, sequence=1, revision=1)
    replies: list[str] = []

    def look(message: Message) -> None:
        replies.append(decode_envelope(message.data, None)[0].reply)

    async with running(shared_server, name) as moon:
        asked = moon.bus.subjects.mailbox(A, "medium", await moon.registry.home("account"))
        assert await moon.ask(str(A), Deposit(1)) == 1
    async with connect(shared_server.url, topology=Topology(prefix=name)) as moon:
        async with connect(shared_server.url, topology=Topology(prefix=name)) as evil:
            await evil.bus.subscribe(asked, look)
            first = asyncio.ensure_future(moon.ask(str(A), Deposit(1)))
            await until(lambda: len(replies) == 1)
            head, _, last = replies[0].rpartition(".")
            assert len(last) >= 16
            second = asyncio.ensure_future(moon.ask(str(A), Deposit(1)))
            guesses = [f"{head}.{number}" for number in range(100)]
            for reply in (replies[0], *guesses):  # its own place: with another command's answer
                data, headers = encode_answer(lie, "json")
                evil.bus.post(reply, data, headers=headers)
            await evil.bus.publish(asked + "x", b"", timeout=5)  # behind them all
            async with Host(moon, [account_type()]):
                assert (await first, await second) == (2, 3)


def bombs() -> list[tuple[bytes, str]]:
    """Messages of some hundred bytes that hold eight million values, or as deep a nest."""
    count = 8_000_000
    head = msgspec.msgpack.encode({"id": "x", "agent": str(A), "name": "Deposit", "body": 0})[:-1]
    plain = [
        head + b"\xdd" + count.to_bytes(4, "big") + b"\x90" * count,
        head + b"\xdd" + count.to_bytes(4, "big") + b"\x80" * count,
        head + b"\x91" * count,
    ]
    packed = [(zstandard.compress(data), "msgpack+zstd") for data in plain]
    text = b'{"id":"x","agent":"account/a","name":"Deposit","body":[' + b"[]," * (count // 3)
    return [*packed, (zstandard.compress(text + b"0]}"), "json+zstd")]


def most_memory() -> int:
    """The most bytes that this process has held at once."""
    unit = 1 if sys.platform == "darwin" else 1_024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


async def test_a_message_that_holds_millions_of_values_keeps_nobody_waiting(
    shared_server: ServerProcess, name: str
) -> None:
    async with running(shared_server, name) as moon:
        bus, subjects = moon.bus, moon.bus.subjects
        home = await moon.registry.home("account")
        assert await moon.ask("account/other", Deposit(1)) == 1
        for data, header in bombs():
            assert len(data) < 2_000
            headers = {ENCODING_HEADER: header}
            await bus.publish(subjects.mailbox(A, "medium", home), data, headers=headers, timeout=5)
            await bus.publish(subjects.internal(A, "high", home), data, headers=headers, timeout=5)
            for service in ("query", "outcome", "control"):
                subject = subjects.owners(service, "account", home.pool, partition_of("a", 4))
                bus.post(subject, data, headers=headers, reply="x.y")
        started, before = time.monotonic(), most_memory()
        assert await moon.ask("account/other", Deposit(1), timeout=60) == 2
        assert await moon.ask(str(A), Deposit(1), timeout=60) == 1
        assert time.monotonic() - started < 20  # it was minutes
        assert most_memory() - before < 150 * 2**20  # it was 1.9 GB
