"""Limits that no world comes to, drawn small: what lies behind each."""

import asyncio
import time
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moonlet.agents import AgentType, Host, plan_repair
from moonlet.agents.calls import places
from moonlet.agents.histories import repairing
from moonlet.agents.recovery import snapshot_policy
from moonlet.core.envelope import Envelope
from moonlet.core.errors import Invalid, InvalidAgentType, InvalidMessage
from moonlet.core.fold import EPOCH_NUMBERS, MAX_EFFECTS, effect_number
from moonlet.core.ids import AgentId
from moonlet.simulations.jetstream import MemoryJetStream, MemoryServer
from moonlet.simulations.jetstream.stream import expiry
from moonlet.streams import Home, JournalMarks, Mailboxes
from moonlet.streams.buckets.registry import PARTITIONS_MAX, decode_home
from moonlet.streams.journal import marks
from moonlet.streams.queues import messages
from moonlet.testing import MoonServer
from tests.agents.accounts import Account, Deposit, account_type
from tests.agents.outside import Do, Done, caller_type, ended
from tests.faulty import until_true

A = AgentId("account", "a")


def blocked(seconds: float) -> None:
    """What code does that knows nothing of loops."""
    time.sleep(seconds)  # sleeps: it blocks the loop of others' calls


async def test_calls_that_hang_in_threads_hold_so_many_and_the_next_waits_with_an_alarm(
    moon_server: MoonServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "THREADS_MAX", 2)

    async def does(how: str, call_id: str) -> Done:
        return Done(how)

    together: list[int] = []
    running = [0]

    def blocks(how: str) -> Done:
        running[0] += 1
        together.append(running[0])
        time.sleep(0.1)  # sleeps: it holds its thread
        running[0] -= 1
        return Done(how)

    caller = caller_type(does, blocks)
    async with moon_server.connect(agents=[caller]) as moon, Host(moon, [caller]) as host:
        blocking = [f"caller/b{number}" for number in range(6)]
        await asyncio.gather(*(moon.tell(agent, Do("block")) for agent in blocking))
        await moon.tell("caller/k", Do("kind"))
        assert (await ended(moon, "caller/k", 1)).heard == ("kind",)
        for agent in blocking:
            assert (await ended(moon, agent, 1)).heard == ("block",)
        assert max(together) == 2
        assert host.services.alarms["a handler's calls hold all its threads"] >= 1


async def test_a_call_whose_thread_others_block_again_and_again_fails_and_says_so(
    moon_server: MoonServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "MOVES_MAX", 0)

    async def does(how: str, call_id: str) -> Done:
        if how == "rude":
            blocked(1.5)
        await asyncio.sleep(0.1)  # sleeps: it is under way when another blocks its loop
        return Done(how)

    caller = caller_type(does)
    async with moon_server.connect(agents=[caller]) as moon, Host(moon, [caller]):
        await moon.tell("caller/k", Do("kind"))
        await moon.tell("caller/r", Do("rude"))
        log = await ended(moon, "caller/k", 1)
    assert [failed.kind for failed in log.failed] == ["timeout"]
    assert "each thread that it ran in was blocked or ended" in log.failed[0].error


async def test_a_journal_with_more_garbage_than_a_repair_leaves_out_says_so(
    moon_server: MoonServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repairing, "MAX_SKIPS", 2)
    account = account_type()
    async with moon_server.connect(agents=[account]) as moon:
        async with Host(moon, [account]):
            await moon.ask(str(A), Deposit(1))
        for count in (1, 2, 3):
            await moon.bus.publish(moon.bus.subjects.journal(A), b"garbage", timeout=5)
            if count < 3:
                plan = await plan_repair(moon.bus, A, account)
                assert plan is not None and len(plan.skips) == count
        with pytest.raises(Invalid, match=r"over 2 commits of account/a can't be read: restore"):
            await plan_repair(moon.bus, A, account)


@pytest.mark.parametrize(("most", "calls"), [(1, 1), (2, 0)])
async def test_a_call_s_result_behind_more_than_is_looked_through_lets_it_run_again(
    moon_server: MoonServer, monkeypatch: pytest.MonkeyPatch, most: int, calls: int
) -> None:
    """Its agent takes one result only: what is open is closed by the first."""
    monkeypatch.setattr(messages, "RESULTS_MAX", most)
    async with moon_server.connect() as moon:
        async with Host(moon, [account_type()]):
            home = await moon.registry.home("account")
        bus, mailboxes = moon.bus, Mailboxes(moon.bus)
        call = Envelope("account/a:1.0", str(A), "Page", msgspec.Raw(b"{}"), call="account/a:1.0")
        await mailboxes.put_call(A, call, home, "json", timeout=5)
        queue, subject = bus.topology.stream("internal"), bus.subjects.call(A)
        await bus._js.purge_stream(queue, subject)  # it was run
        for name in ("Other", "Page"):
            told = msgspec.structs.replace(call, id=name, call="" if name == "Other" else call.call)
            await mailboxes.put_internal(A, told, home, "json", timeout=5)
        await mailboxes.put_call(A, call, home, "json", timeout=5)
        found = await bus._js.stream_subjects(queue, subject)
        assert sum(found.values()) == calls


@pytest.mark.parametrize("most", [1, 2, 20])
async def test_the_newest_snapshot_bears_witness_of_its_journal_however_many_others_there_are(
    moon_server: MoonServer, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(marks, "WITNESSES", most)
    monkeypatch.setattr(snapshot_policy, "SNAPSHOT_AT_REST", 1)
    types = [account_type(), other_type()]
    async with moon_server.connect(agents=types) as moon:
        for type_ in types:  # of the other type are the last ones
            async with Host(moon, [type_]):
                for key in "abcd":
                    await moon.ask(f"{type_.name}/{key}", Deposit(1))
        store = JournalMarks(moon.bus)
        stream = moon.bus.topology.journal_of("account")
        found = await store.witnessed(stream, ["account"])
        assert found is not None and found.sequence <= 4
        both = await store.witnessed(stream, ["account", "other"])
        assert both is not None and both.sequence >= found.sequence
        assert await store.witnessed(stream, ["nobody"]) is None


def other_type() -> AgentType[Account]:
    """Accounts under another name."""
    return account_type(name="other")


@given(st.lists(st.tuples(
    st.integers(0, 2**12), st.sampled_from([1, 2, 2**30 - 2, 2**30 - 1]),
    st.sampled_from([0, 1, MAX_EFFECTS - 1])), min_size=2, max_size=2))  # fmt: skip
def test_numbers_of_effects_grow_with_epoch_revision_and_index(
    places: list[tuple[int, int, int]],
) -> None:
    (one, other) = sorted(places)
    numbers = [effect_number(revision, index, epoch) for epoch, revision, index in (one, other)]
    assert (numbers[0] < numbers[1]) is (one < other)
    assert effect_number(1, 0, 1) > effect_number(2**30 - 1, MAX_EFFECTS - 1, 0)
    assert EPOCH_NUMBERS == 2**30 * MAX_EFFECTS
    assert numbers[1] < 2**53, "readers of JSON have it exactly"


async def test_of_what_ran_out_a_server_finds_the_last_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(expiry, "ENDED_MAX", 2)
    server = MemoryServer()
    js = await MemoryJetStream.connect(server)
    await js.create_stream({"name": "J", "subjects": ["j.>"], "allow_msg_ttl": True})
    for name in "abc":
        await js.publish(f"j.{name}", b"lease", headers={"Nats-TTL": "1s"}, timeout=5)

    async def ran_out() -> bool:
        return not await js.stream_subjects("J", "j.>")

    await until_true(ran_out)
    server.stop()
    assert server.broker.model.revive() == 2
    await js.close()


@dataclass
class Case:
    """A record of a type, and whether it can be one."""

    record: dict[str, Any]
    fits: bool


@pytest.mark.parametrize("case", [
    Case({"slots": PARTITIONS_MAX}, True),
    Case({"slots": PARTITIONS_MAX + 1}, False),
    Case({"slots": 4, "pool": "p", "partitions": PARTITIONS_MAX + 1}, False),
    Case({"slots": 0}, False),
])  # fmt: skip
def test_a_type_has_so_many_partitions_and_no_more(case: Case) -> None:
    if case.fits:
        assert isinstance(decode_home(msgspec.json.encode(case.record)), Home)
        assert AgentType("many", Account, partitions=PARTITIONS_MAX).partitions == PARTITIONS_MAX
        return
    with pytest.raises(InvalidMessage, match="1 to 256 are possible"):
        decode_home(msgspec.json.encode(case.record))
    with pytest.raises(InvalidAgentType, match="partitions are 1 to 256"):
        AgentType("many", Account, partitions=PARTITIONS_MAX + 1)
