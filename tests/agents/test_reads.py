"""What clients read of agents: no older than they have seen; and errors that say what is so."""

import asyncio
import time
from typing import Any

import pytest

from moonlet.agents import Host, connect
from moonlet.core.errors import (
    MoonletError,
    PermissionDenied,
    Unavailable,
    Undecodable,
    Unknown,
)
from moonlet.core.ids import AgentId
from moonlet.streams import (
    Disconnected,
    NoAnswer,
    NoResponders,
    ServerRefused,
    StreamGone,
    Topology,
)
from moonlet.streams.server.server_process import ServerProcess
from tests.agents.accounts import Deposit, GetBalance, account_type
from tests.faulty import FaultyMoon, until_true
from tests.lagging import LaggingJetStream


async def test_histories_and_states_are_no_older_than_their_readers_own_writes(
    shared_server: ServerProcess, name: str
) -> None:
    agents = [account_type()]
    async with FaultyMoon(shared_server.url, name, agents=agents, over=LaggingJetStream) as (
        moon,
        replica,
    ):
        async with Host(moon, agents):
            await moon.ask("account/a", Deposit(1))
            stream = moon.bus.topology.journal_of("account")
            await replica.lag(stream)
            for balance in range(2, 12):
                await moon.ask("account/a", Deposit(1))
                revisions = [commit.revision async for commit in moon.history("account/a")]
                assert revisions == list(range(1, balance + 1))
                assert (await moon.state("account/a")).balance == balance
            assert (await moon.state("account/a", revision=11)).balance == 11
            assert replica.late > 10


async def test_a_state_advances_the_token_and_obeys_it(
    shared_server: ServerProcess, name: str
) -> None:
    topology, agents = Topology(prefix=name), [account_type()]
    async with (
        connect(shared_server.url, topology=topology) as moon,
        connect(shared_server.url, topology=topology, agents=agents) as other,
        Host(moon, agents),
    ):
        for _ in range(3):
            await moon.ask("account/a", Deposit(1))
        stream = moon.bus.topology.journal_of("account")
        assert (await other.state("account/a", revision=2)).balance == 2
        assert other.token.at(stream) == 2
        assert (await other.state("account/a")).balance == 3
        assert other.token == moon.token
        other.see(stream, 4)  # a server that doesn't know it yet is not believed
        with pytest.raises(Unavailable, match="ends at 3, but 4 was seen"):
            await other.state("account/a")
        with pytest.raises(Unavailable, match="ends at 3, but 4 was seen"):
            _ = [commit async for commit in other.history("account/none")]


async def test_a_query_waits_for_what_is_stored_and_not_acknowledged(
    shared_server: ServerProcess, name: str
) -> None:
    topology = Topology(prefix=name)
    async with (
        FaultyMoon(shared_server.url, name) as (hosting, faults),
        Host(hosting, [account_type()]),
        connect(shared_server.url, topology=topology) as moon,
    ):
        await moon.ask("account/a", Deposit(1))
        subject = moon.bus.subjects.journal(AgentId("account", "a"))
        stream = moon.bus.topology.journal_of("account")
        faults.publishing = lambda to, data: "late ack" if to == subject else "pass"
        await moon.tell("account/a", Deposit(1))

        async def stored() -> bool:
            last = await moon.bus._js.last_message(stream, subject)
            return last is not None and last.sequence > 1

        await until_true(stored)
        faults.publishing = lambda to, data: "pass"
        await moon.ask("account/b", Deposit(1))
        began = time.monotonic()
        asked = asyncio.create_task(moon.query("account/a", GetBalance()))
        done, _ = await asyncio.wait([asked], timeout=0.3)
        assert not done
        faults.release()
        assert await asked == 2
        assert time.monotonic() - began < 1.5


@pytest.mark.parametrize(
    "error",
    [
        NoAnswer("no answer"),
        NoResponders("nobody"),
        Disconnected("no connection"),
        StreamGone("gone", stream="s"),
        ServerRefused(503, 10023, "insufficient resources"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_what_an_owner_cannot_reach_is_never_told_as_a_refusal(
    shared_server: ServerProcess, name: str, error: MoonletError
) -> None:
    topology = Topology(prefix=name)
    async with (
        FaultyMoon(shared_server.url, name) as (hosting, faults),
        Host(hosting, [account_type()]),
        connect(shared_server.url, topology=topology) as moon,
    ):
        await moon.ask("account/a", Deposit(1))
        await moon.ask("account/b", Deposit(1))

        async def fail(*arguments: Any, **more: Any) -> None:
            raise error

        faults.last_message = faults.stream_info = fail
        with pytest.raises(Unavailable):
            await moon.query("account/a", GetBalance(), timeout=3)


async def test_a_stored_command_of_a_broken_agent_is_not_told_as_refused(
    shared_server: ServerProcess, name: str
) -> None:
    topology = Topology(prefix=name)
    async with connect(shared_server.url, topology=topology) as moon:
        async with Host(moon, [account_type()]):
            await moon.ask("account/bad", Deposit(1))
        subject = moon.bus.subjects.journal(AgentId("account", "bad"))
        await moon.bus.publish(subject, b"rubbish", timeout=5)
        async with Host(moon, [account_type()]):
            began = time.monotonic()
            with pytest.raises(Unknown, match="can't decide it now") as caught:
                await moon.ask("account/bad", Deposit(1), timeout=20)
            assert time.monotonic() - began < 10
            assert caught.value.stored == "yes"
            assert isinstance(caught.value.__cause__, Undecodable)


async def test_a_receipt_ends_in_unknown_whatever_is_unavailable(
    shared_server: ServerProcess, name: str
) -> None:
    """And in the commit, if that passes in time."""
    async with (
        FaultyMoon(shared_server.url, name) as (moon, faults),
        Host(moon, [account_type()]),
    ):
        receipt = await moon.tell("account/a", Deposit(1))
        await receipt.committed()

        async def fail(*arguments: Any, **more: Any) -> None:
            raise NoResponders("a cluster is electing")

        faults.message = fail
        with pytest.raises(Unknown, match="is stored for account/a") as caught:
            await receipt.committed(timeout=0.5)
        assert caught.value.stored == "yes"
        waiting = asyncio.create_task(receipt.committed(timeout=10))
        done, _ = await asyncio.wait([waiting], timeout=0.2)
        assert not done
        del faults.message
        assert (await waiting).outcome == "accepted"


@pytest.mark.parametrize("refusal", ["final", "denied"])
async def test_what_may_be_stored_is_not_told_as_refused_by_another_try(
    shared_server: ServerProcess, name: str, refusal: str
) -> None:
    async with (
        FaultyMoon(shared_server.url, name) as (moon, faults),
        Host(moon, [account_type()]),
    ):
        await moon.ask("account/a", Deposit(1))
        tries: list[asyncio.Future[Any]] = []

        def publish(subject: str, data: bytes, **more: Any) -> asyncio.Future[Any]:
            future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            refused = ServerRefused(400, 10060, "expected stream does not match")
            denied = PermissionDenied("the right was taken away", subject=subject)
            error = NoAnswer("lost") if not tries else refused if refusal == "final" else denied
            future.set_exception(error)
            tries.append(future)
            return future

        faults.publish = publish  # the first try's answer is lost, the second is refused
        with pytest.raises(Unknown) as caught:
            await moon.tell("account/a", Deposit(1))
        assert caught.value.stored == "maybe" and len(tries) == 2
