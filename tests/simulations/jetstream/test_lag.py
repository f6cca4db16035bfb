"""Replicas that lag, and what had run out and stands again: the model of both."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from moonlet.simulations.jetstream import MemoryJetStream, MemoryServer
from moonlet.streams.api import Delivery, PullStatus
from tests.faulty import until, until_true

STREAM = {"name": "J", "subjects": ["j.>"], "allow_direct": True, "num_replicas": 3}
READER = {"ack_policy": "none", "num_replicas": 1, "deliver_policy": "by_start_sequence"}


@pytest.fixture
async def server() -> MemoryServer:
    return MemoryServer(servers=3)


@pytest.fixture
async def js(server: MemoryServer) -> AsyncIterator[MemoryJetStream]:
    js = await MemoryJetStream.connect(server)
    await js.create_stream(STREAM)
    yield js
    await js.close()


async def put(js: MemoryJetStream, count: int, subject: str = "j.a") -> None:
    for _ in range(count):
        await js.publish(subject, b"x", timeout=5)


async def page(js: MemoryJetStream) -> list[int]:
    found, left = await js.read_batch("J", "j.>", start=1, batch=100)
    assert left == 0
    return [message.sequence for message in found]


async def test_any_replica_shows_what_it_has_and_the_leader_all(
    server: MemoryServer, js: MemoryJetStream
) -> None:
    await put(js, 2)
    assert server.lag()
    await put(js, 3)
    assert await page(js) == [1, 2]
    last = await js.last_message("J", "j.a")
    assert last is not None and last.sequence == 5
    assert (await js.stream_subjects("J", "j.a")) == {"j.a": 5}
    server.catch_up()
    assert await page(js) == [1, 2, 3, 4, 5]


async def test_a_single_server_has_no_replicas() -> None:
    server = MemoryServer()
    js = await MemoryJetStream.connect(server)
    await js.create_stream({**STREAM, "num_replicas": 1})
    assert not server.lag()
    await put(js, 1)
    assert await page(js) == [1]
    await js.close()


async def test_every_second_consumer_of_one_server_lives_where_the_stream_lags(
    server: MemoryServer, js: MemoryJetStream
) -> None:
    await put(js, 2)
    server.lag()
    await put(js, 3)
    got: dict[str, list[int]] = {"r1": [], "r2": []}
    for name, taken in got.items():
        config = {**READER, "name": name, "opt_start_seq": 5}
        await js.create_consumer("J", config)

        def take(deliveries: list[Delivery], taken: list[int] = taken) -> None:
            taken.extend(delivery.sequence for delivery in deliveries)

        def ended(status: PullStatus) -> None:
            pass

        pull = await js.open_pull("J", name, take, ended)
        pull.request(10, expires=5)
    await asyncio.sleep(0.05)  # sleeps: what comes has come
    assert got == {"r1": [], "r2": [5]}
    server.catch_up()
    await asyncio.sleep(0.05)  # sleeps: the same
    assert got == {"r1": [3, 4, 5], "r2": [5]}  # it begins at the end that its server had


async def test_what_ran_out_stands_again_after_a_kill_and_never_runs_out() -> None:
    server = MemoryServer()
    js = await MemoryJetStream.connect(server)
    await js.create_stream({**STREAM, "num_replicas": 1, "allow_msg_ttl": True})
    ttl = {"Nats-TTL": "1s"}
    await js.publish("j.a", b"lease", headers=ttl, timeout=5)
    await js.publish("j.b", b"older", headers=ttl, timeout=5)
    await put(js, 1, "j.c")

    async def ran_out() -> bool:
        return await page(js) == [3]

    await until_true(ran_out)
    await js.publish("j.b", b"newer", timeout=5)
    server.stop()
    assert server.broker.model.revive() == 1
    server.start()
    await until(lambda: not js.connected)
    await until(lambda: js.connected)
    assert await page(js) == [1, 3, 4]
    await asyncio.sleep(1.6)  # sleeps: longer than its time
    assert await page(js) == [1, 3, 4]
    await put(js, 1)  # the next sequence is a new one
    assert await page(js) == [1, 3, 4, 5]
    await js.close()
