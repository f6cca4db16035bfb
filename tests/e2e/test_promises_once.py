"""Exactly once: lost acknowledgements, retries at any delay, zombies, crashes between steps."""

import asyncio
import time

import msgspec
import pytest

from moonlet.agents import Client, Host, Plain, connect
from moonlet.core.errors import Conflict, Unknown
from moonlet.streams import Topology
from moonlet.streams.server.server_process import ServerProcess
from tests.agents.accounts import Account, Deposit, GetBalance, Transfer, account_type
from tests.checkers import check_sends, histories
from tests.faulty import FaultyMoon, until, until_true


async def balance_is(moon: Client, agent: str, balance: int) -> None:
    """Wait until an account has this balance."""

    async def has() -> bool:
        return bool(await moon.query(agent, GetBalance(), timeout=15) == balance)

    await until_true(has, within=15)


def once(what: str, part: str) -> "Once":
    return Once(what, part)


class Once:
    """Judges the first publish whose subject holds `part`; counts how many it saw."""

    def __init__(self, verdict: str, part: str) -> None:
        self.verdict = verdict
        self.part = part
        self.fired = 0

    def __call__(self, subject: str, data: bytes) -> str:
        if self.part in subject and not self.fired:
            self.fired += 1
            return self.verdict
        return "pass"


async def test_a_retry_after_a_lost_acknowledgement_with_a_restart_in_between_is_applied_once(
    own_server: ServerProcess, name: str
) -> None:
    topology = Topology(prefix=name)
    account = account_type()
    async with (
        connect(own_server.url, topology=topology) as hosting,
        Host(hosting, [account]),
        FaultyMoon(own_server.url, name, agents=[account]) as (moon, faults),
    ):
        lost = faults.publishing = once("lose ack", ".cmd.")
        telling = asyncio.create_task(moon.tell("account/a", Deposit(5), timeout=20))
        await until(lambda: lost.fired == 1)
        # The first try is committed and acknowledged, so the server forgets its id at restart.
        async with asyncio.timeout(10):
            async for _ in hosting.history("account/a", follow=True, to=1):
                pass
        own_server.kill()
        own_server.start()
        receipt = await telling
        assert (await receipt.committed(timeout=10)).revision == 1
        # A retry that the server takes for new: the window in the agent knows better.
        assert await moon.ask("account/a", Deposit(1), timeout=10) == 6
        found = await histories(hosting, ["account/a"])
        assert len(found["account/a"]) == 2


async def test_a_client_that_retries_after_the_duplicate_window_is_answered_as_the_first_time(
    shared_server: ServerProcess, name: str
) -> None:
    account = account_type()
    async with connect(shared_server.url, topology=Topology(prefix=name)) as moon:
        async with Host(moon, [account]):
            assert await moon.ask("account/a", Deposit(5), id="order-1") == 5
            assert await moon.ask("account/a", Deposit(7)) == 12
            # Without the server's window, as after two minutes or a restart.
            await forget_ids(moon)
            assert await moon.ask("account/a", Deposit(5), id="order-1") == 5
            receipt = await moon.tell("account/a", Deposit(5), id="order-1")
            assert (await receipt.committed()).revision == 1
            with pytest.raises(Conflict, match="order-1"):
                await moon.ask("account/a", Deposit(6), id="order-1")
        await set_window(moon, "mailboxes", 120 * 10**9)
        await set_window(moon, "internal", 120 * 10**9)
        async with Host(moon, [account]):  # another owner, another life
            assert await moon.ask("account/a", Deposit(5), id="order-1") == 5
            found = await histories(moon, ["account/a"])
            assert [c.command.id for c in found["account/a"]].count("order-1") == 1
            assert len(found["account/a"]) == 2


async def test_the_same_id_to_two_agents_is_two_commands(
    shared_server: ServerProcess, name: str
) -> None:
    account = account_type()
    topology = Topology(prefix=name)
    async with connect(shared_server.url, topology=topology) as moon, Host(moon, [account]):
        assert await moon.ask("account/a", Deposit(5), id="order-1") == 5
        assert await moon.ask("account/b", Deposit(5), id="order-1") == 5
        found = await histories(moon, ["account/a", "account/b"])
        assert [len(commits) for commits in found.values()] == [1, 1]


async def test_an_append_whose_answer_is_lost_is_not_done_twice(
    shared_server: ServerProcess, name: str
) -> None:
    account = account_type()
    async with FaultyMoon(shared_server.url, name, agents=[account]) as (moon, faults):
        async with Host(moon, [account]):
            for verdict in ("lose ack", "lose"):
                faults.publishing = once(verdict, ".evt.")
                before = await moon.query("account/a", GetBalance())
                assert await moon.ask("account/a", Deposit(5), timeout=20) == before + 5
            found = await histories(moon, ["account/a"])
            assert len(found["account/a"]) == 2


async def test_an_ask_whose_reply_was_lost_is_answered(
    shared_server: ServerProcess, name: str
) -> None:
    account = account_type()
    async with FaultyMoon(shared_server.url, name, agents=[account]) as (moon, faults):
        async with Host(moon, [account]):
            lost = faults.posting = once("lose", "_INBOX")
            asked = time.monotonic()
            assert await moon.ask("account/a", Deposit(5), timeout=10) == 5
            assert lost.fired == 1
            assert time.monotonic() - asked < 5, "it waited for the end of its time"
            found = await histories(moon, ["account/a"])
            assert len(found["account/a"]) == 1


async def test_an_ask_that_nobody_decides_says_that_it_is_stored(
    shared_server: ServerProcess, name: str
) -> None:
    account = account_type()
    topology = Topology(prefix=name)
    async with connect(shared_server.url, topology=topology) as moon:
        async with Host(moon, [account]):
            pass
        with pytest.raises(Unknown) as caught:
            await moon.ask("account/a", Deposit(5), timeout=1.5, id="late")
        assert caught.value.stored == "yes" and caught.value.command_id == "late"
        async with Host(moon, [account]):
            assert await moon.ask("account/a", Deposit(5), id="late") == 5


async def test_a_command_whose_commit_was_on_its_way_when_the_host_died_is_committed(
    shared_server: ServerProcess, name: str
) -> None:
    account = account_type()
    topology = Topology(prefix=name)
    async with connect(shared_server.url, topology=topology) as moon:
        async with FaultyMoon(shared_server.url, name) as (dying, faults):
            host = Host(dying, [account], lease=1)
            await host.start()
            faults.publishing = lambda subject, _: "hold" if ".evt." in subject else "pass"
            receipts = [await moon.tell("account/a", Deposit(1)) for _ in range(10)]
            await until(lambda: faults.held == 1)
            await die(host)  # what was held is never sent
        async with Host(moon, [account], lease=1):
            for revision, receipt in enumerate(receipts, 1):
                assert (await receipt.committed(timeout=15)).revision == revision


async def test_a_crash_between_append_and_dispatch_leaves_no_effect_out(
    shared_server: ServerProcess, name: str
) -> None:
    account = account_type()
    topology = Topology(prefix=name)
    async with connect(shared_server.url, topology=topology) as moon:
        async with FaultyMoon(shared_server.url, name) as (dying, faults):
            host = Host(dying, [account], lease=1)
            await host.start()
            faults.publishing = lambda subject, _: "lose" if ".in." in subject else "pass"
            receipt = await moon.tell("account/a", Transfer("account/b", 3))
            assert (await receipt.committed()).revision == 1
            await until(lambda: any(".in." in s for s in faults.published))
            await die(host)
        async with Host(moon, [account], lease=1):
            await balance_is(moon, "account/b", 3)
            check_sends(await histories(moon, ["account/a", "account/b"]))


async def test_a_crash_between_dispatch_and_acknowledgement_doubles_no_effect(
    shared_server: ServerProcess, name: str
) -> None:
    account = account_type()
    topology = Topology(prefix=name)
    async with connect(shared_server.url, topology=topology) as moon:
        async with FaultyMoon(shared_server.url, name) as (dying, faults):
            host = Host(dying, [account], lease=1)
            await host.start()
            faults.acknowledging = lambda _subject, _data: "lose"
            await moon.tell("account/a", Transfer("account/b", 3))
            await balance_is(moon, "account/b", 3)
            await die(host)
        async with Host(moon, [account], lease=1):
            assert await moon.ask("account/a", Deposit(10), timeout=15) == 7
            assert await moon.ask("account/b", Deposit(1), timeout=15) == 4
            found = await histories(moon, ["account/a", "account/b"])
            check_sends(found)
            assert [len(commits) for commits in found.values()] == [2, 2]


async def test_a_zombie_owner_that_dispatches_late_changes_nothing(
    shared_server: ServerProcess, name: str
) -> None:
    account = account_type()
    topology = Topology(prefix=name)
    async with connect(shared_server.url, topology=topology) as moon:
        async with FaultyMoon(shared_server.url, name) as (sleeping, faults):
            zombie = Host(sleeping, [account], lease=1)
            await zombie.start()
            faults.publishing = lambda subject, _: "hold" if ".in." in subject else "pass"
            await moon.tell("account/a", Transfer("account/b", 3))
            await until(lambda: faults.held == 1)
            await die(zombie)  # it stops renewing; the publish is still on its way
            async with Host(moon, [account], lease=1):
                receipt = await moon.tell("account/a", Transfer("account/b", 4))
                await receipt.committed(timeout=15)
                await balance_is(moon, "account/b", 7)
                await forget_ids(moon)
                faults.release()  # the zombie's send lands behind its successor's later one
                assert await moon.ask("account/b", Deposit(1)) == 8
                check_sends(await histories(moon, ["account/a", "account/b"]))


async def forget_ids(moon: Client) -> None:
    """Let the server's duplicate windows run out, so that only the agents' own remain."""
    for stream in ("internal", "mailboxes"):
        await set_window(moon, stream, 100_000_000)
    await asyncio.sleep(0.15)  # the windows' 100 ms, and half as much


async def set_window(moon: Client, stream: str, nanoseconds: int) -> None:
    """Set a stream's duplicate window."""
    js = moon.bus._js
    info = await js.stream_info(moon.bus.topology.stream(stream))
    assert info is not None
    await js.update_stream({**info["config"], "duplicate_window": nanoseconds})


async def die(host: Host) -> None:
    """End a host as a crash would: nothing is finished, handed over or released."""
    host._ownership._closed = True
    await host._tasks.close()
    await host._calls.close()
    for partition in list(host._ownership.partitions.values()):
        await partition.close(hand_over=False)


async def test_two_hosts_for_one_agent_append_one_history(
    shared_server: ServerProcess, name: str
) -> None:
    """The second writer loses its compare-and-set, reads again, and goes on."""
    account = account_type()
    topology = Topology(prefix=name)
    async with FaultyMoon(shared_server.url, name) as (sleeping, faults):
        zombie = Host(sleeping, [account], lease=1)
        await zombie.start()
        async with connect(shared_server.url, topology=topology) as moon:
            assert await moon.ask("account/a", Deposit(1), timeout=10) == 1
            faults.publishing = lambda subject, _: "hold" if ".evt." in subject else "pass"
            await moon.tell("account/a", Deposit(2))
            await until(lambda: faults.held == 1)
            await die(zombie)
            async with Host(moon, [account], lease=1):
                assert await moon.ask("account/a", Deposit(4), timeout=15) == 7
                faults.release()  # a commit of revision 2 that expects the old end
                assert await moon.ask("account/a", Deposit(8)) == 15
                found = await histories(moon, ["account/a"])
                assert len(found["account/a"]) == 4
                assert await moon.state("account/a") == Account(balance=15)


async def test_a_plain_message_has_the_effect_of_a_typed_one(
    shared_server: ServerProcess, name: str
) -> None:
    topology = Topology(prefix=name)
    async with connect(shared_server.url, topology=topology) as moon:
        async with Host(moon, [account_type()]):
            assert await moon.ask("account/a", Plain("Deposit", {"amount": 5})) == 5
            assert msgspec.to_builtins(await moon.state("account/a"))["balance"] == 5
