"""The door over a server in memory: what tests can do to it, beyond the contract of `JetStream`."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from moonlet.core.errors import Unavailable
from moonlet.simulations.jetstream import MemoryJetStream, MemoryServer, NotSimulated, Packet
from moonlet.streams.api import (
    Delivery,
    Disconnected,
    Message,
    NoAnswer,
    PullStatus,
    ServerRefused,
)

MAILBOX = {"name": "M", "subjects": ["m.>"], "retention": "workqueue", "duplicate_window": 10**11}
READER = {"name": "r", "durable_name": "r", "ack_policy": "explicit", "ack_wait": 10**9}


@pytest.fixture
async def server() -> MemoryServer:
    return MemoryServer()


@pytest.fixture
async def js(server: MemoryServer) -> AsyncIterator[MemoryJetStream]:
    js = await MemoryJetStream.connect(server)
    yield js
    await js.close()


async def until(condition, timeout: float = 5.0) -> None:  # type: ignore[no-untyped-def]
    async with asyncio.timeout(timeout):
        while not condition():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.005)


async def gone_and_back(js: MemoryJetStream) -> None:
    """Wait until the client noticed that its connection ended, and has another."""
    await until(lambda: not js.connected)
    await until(lambda: js.connected)


async def test_no_answer_comes_in_the_step_that_asked(js: MemoryJetStream) -> None:
    await js.create_stream(MAILBOX)
    future = js.publish("m.a", b"", timeout=1)
    assert not future.done()
    await asyncio.sleep(0)
    assert not future.done()
    assert (await future).sequence == 1


async def test_a_cut_connection_comes_back_and_subscriptions_with_it(
    server: MemoryServer, js: MemoryJetStream
) -> None:
    got: list[Message] = []
    back: list[bool] = []
    await js.subscribe("x.*", got.append)
    js.on_reconnect(lambda: back.append(js.connected))
    server.cut(js.name)
    await until(lambda: not js.connected)
    with pytest.raises(Disconnected):
        js.post("x.a", b"lost")
    with pytest.raises(Disconnected):
        await js.publish("x.a", b"lost", timeout=1)
    js.acknowledge("$JS.ACK.M.r.1.1.1.0.0")  # lost too, but silently
    await until(lambda: back == [True])
    js.post("x.a", b"heard")
    await until(lambda: [m.data for m in got] == [b"heard"])


async def test_what_was_on_its_way_when_the_connection_was_cut_is_unknown(
    server: MemoryServer, js: MemoryJetStream
) -> None:
    await js.create_stream(MAILBOX)
    future = js.publish("m.a", b"", timeout=60)
    server.cut(js.name)
    with pytest.raises(NoAnswer):
        await future


async def test_a_lost_acknowledgement_of_a_publish_leaves_the_message_stored(
    server: MemoryServer, js: MemoryJetStream
) -> None:
    await js.create_stream(MAILBOX)

    def is_answer(packet: Packet) -> bool:
        message = packet.message
        return not packet.to_server and message is not None and b'"seq"' in message.data

    server.network.lose(is_answer)  # type: ignore[attr-defined]
    headers = {"Nats-Msg-Id": "one"}
    with pytest.raises(NoAnswer):
        await js.publish("m.a", b"", headers=headers, timeout=0.05)
    again = await js.publish("m.a", b"", headers=headers, timeout=1)
    assert (again.sequence, again.duplicate) == (1, True)


async def test_a_restart_loses_pulls_and_ids_of_acknowledged_messages(
    server: MemoryServer, js: MemoryJetStream
) -> None:
    await js.create_stream(MAILBOX)
    await js.create_consumer("M", READER)
    deliveries: list[Delivery] = []
    statuses: list[PullStatus] = []
    pull = await js.open_pull("M", "r", deliveries.extend, statuses.append)
    for name in ("gone", "kept"):
        await js.publish("m.a", b"", headers={"Nats-Msg-Id": name}, timeout=1)
    pull.request(3, expires=30)
    await until(lambda: len(deliveries) == 2)
    js.acknowledge(deliveries[0].reply)
    await until(lambda: len(server.broker.model.streams["M"].store.messages) == 1)
    server.restart()
    await gone_and_back(js)
    fresh = await js.publish("m.b", b"", headers={"Nats-Msg-Id": "gone"}, timeout=1)
    known = await js.publish("m.b", b"", headers={"Nats-Msg-Id": "kept"}, timeout=1)
    assert (fresh.duplicate, known.duplicate) == (False, True)
    assert (len(deliveries), statuses) == (2, [])  # the pull is gone, and nobody was told
    pull.request(2, expires=30)
    await until(lambda: len(deliveries) == 4)
    assert [(d.sequence, d.attempt) for d in deliveries[2:]] == [(3, 1), (2, 2)]


async def test_a_stopped_server_is_unavailable_until_it_is_started(
    server: MemoryServer, js: MemoryJetStream
) -> None:
    server.stop()
    with pytest.raises(Unavailable):
        await MemoryJetStream.connect(server)
    await until(lambda: not js.connected)
    server.start()
    await until(lambda: js.connected)
    other = await MemoryJetStream.connect(server)
    await other.close()


async def test_power_loss_takes_the_last_messages(
    server: MemoryServer, js: MemoryJetStream
) -> None:
    await js.create_stream({"name": "J", "subjects": ["j.>"]})
    for _ in range(5):
        await js.publish("j.a", b"", timeout=1)
    assert server.power_loss(2) == {"J": 2}
    await gone_and_back(js)
    last = await js.last_message("J", "j.a")
    assert last is not None and last.sequence == 3
    assert (await js.publish("j.a", b"", timeout=1)).sequence == 4


async def test_what_is_not_simulated_is_raised_where_it_was_asked_for(js: MemoryJetStream) -> None:
    with pytest.raises(NotSimulated, match="mirror"):
        await js.create_stream({"name": "C", "mirror": {"name": "J"}})
    with pytest.raises(NotSimulated, match=r"STREAM\.LIST"):
        await js.request("$JS.API.STREAM.LIST", b"", timeout=1)
    await js.create_stream({"name": "J", "subjects": ["j.>"], "allow_msg_schedules": True})
    headers = {"Nats-Schedule": "@every 5s", "Nats-Schedule-Target": "j.b"}
    with pytest.raises(NotSimulated, match="repeating"):
        await js.publish("j.a", b"", headers=headers, timeout=1)


async def test_a_closed_connection_ends_for_good(server: MemoryServer, js: MemoryJetStream) -> None:
    closed: list[bool] = []
    js.on_closed(lambda: closed.append(True))
    await js.subscribe("never", lambda message: None)
    request = asyncio.ensure_future(js.request("never", b"", timeout=60))
    await asyncio.sleep(0)
    await js.close()
    await js.close()
    with pytest.raises(NoAnswer):
        await request
    with pytest.raises(Disconnected):
        js.post("x", b"")
    server.restart()
    assert closed == [True]
    assert not js.connected


async def test_on_a_cluster_a_write_on_its_way_refuses_the_next_expectation() -> None:
    server = MemoryServer(servers=3, commit_latency=50_000_000)
    js = await MemoryJetStream.connect(server)
    await js.create_stream({"name": "J", "subjects": ["j.>"], "num_replicas": 3})
    expected = {"Nats-Expected-Last-Subject-Sequence": "0"}
    first = js.publish("j.a", b"", headers=expected, timeout=5)
    second = js.publish("j.a", b"", headers=expected, timeout=5)
    elsewhere = js.publish("j.b", b"", headers=expected, timeout=5)
    with pytest.raises(ServerRefused) as refusal:
        await second
    assert refusal.value.err_code == 10164
    assert ((await first).sequence, (await elsewhere).sequence) == (1, 2)
    with pytest.raises(ServerRefused) as refusal:
        await js.publish("j.a", b"", headers=expected, timeout=5)
    assert refusal.value.err_code == 10071
    await js.close()


async def test_on_a_cluster_an_id_on_its_way_is_a_conflict_and_then_a_duplicate() -> None:
    server = MemoryServer(servers=3, commit_latency=50_000_000)
    js = await MemoryJetStream.connect(server)
    await js.create_stream({"name": "J", "subjects": ["j.>"], "num_replicas": 3})
    headers = {"Nats-Msg-Id": "one", "Nats-Expected-Last-Subject-Sequence": "0"}
    first = js.publish("j.a", b"", headers=headers, timeout=5)
    second = js.publish("j.a", b"", headers=headers, timeout=5)
    with pytest.raises(ServerRefused) as refusal:
        await second
    assert (refusal.value.code, refusal.value.err_code) == (409, 10158)
    await first
    third = await js.publish("j.a", b"", headers=headers, timeout=5)
    assert (third.sequence, third.duplicate) == (1, True)
    await js.close()


@pytest.mark.parametrize(
    ("storage", "deleted", "below", "misplaced"),
    [
        ("file", [1, 3], 3, True),  # the server leaves the first sequence at 2, and 2 deleted
        ("file", [3], 3, False),  # the first has not moved before
        ("file", [1, 3], 4, False),  # beyond the last, all is purged
        ("file", [1], 3, False),  # something stays
        ("memory", [1, 3], 3, False),
    ],
)
async def test_a_purge_after_which_the_server_misplaces_the_first_sequence_is_not_simulated(
    js: MemoryJetStream, storage: str, deleted: list[int], below: int, misplaced: bool
) -> None:
    """The five stand for 55 cases that were tried on a real server (ledger 5)."""
    await js.create_stream({"name": "P", "subjects": ["p.>"], "storage": storage})
    for _ in range(3):
        await js.publish("p.a", b"", timeout=1)
    for sequence in deleted:
        await js.request("$JS.API.STREAM.MSG.DELETE.P", b'{"seq": %d}' % sequence, timeout=1)
    purge = js.request("$JS.API.STREAM.PURGE.P", b'{"seq": %d}' % below, timeout=1)
    if misplaced:
        with pytest.raises(NotSimulated, match="leaves a file empty"):
            await purge
    else:
        assert b'"success":true' in (await purge).data
