"""A connection whose server is killed, hangs or comes back: all on real processes."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from moonlet.core.errors import MoonletError
from moonlet.streams.api import (
    Delivery,
    Disconnected,
    Message,
    NoAnswer,
    Outgoing,
    PubAck,
    PullStatus,
    ServerRefused,
)
from moonlet.streams.nats import connection
from moonlet.streams.nats import wire as nats_api_wire
from moonlet.streams.nats.jetstream import NatsJetStream
from moonlet.streams.server.server_process import ServerProcess, find_server
from moonlet.streams.settings import from_url
from tests.streams.support import connected, eventually, restart


async def stream(js: NatsJetStream) -> None:
    await js.create_stream({"name": "S", "subjects": ["s.>"]})


async def last_sequence(js: NatsJetStream) -> int:
    info = await js.stream_info("S")
    assert info is not None
    return int(info["state"]["last_seq"])


async def test_what_is_under_way_when_the_server_dies_is_unknown(
    own_server: ServerProcess,
) -> None:
    async with connected(own_server) as js:
        await stream(js)
        await js.subscribe("silent", lambda message: None)
        own_server.pause()
        request = asyncio.ensure_future(js.request("silent", b"x", timeout=30))
        await asyncio.sleep(0)
        publish = js.publish("s.a", b"x", timeout=30)
        subscribe = asyncio.ensure_future(js.subscribe("other", lambda message: None))
        await asyncio.sleep(0.01)
        own_server.kill()
        async with asyncio.timeout(2):
            with pytest.raises(NoAnswer, match="lost"):
                await subscribe
            with pytest.raises(NoAnswer, match="lost"):
                await publish
            with pytest.raises(NoAnswer, match="lost"):
                await request


async def test_without_a_server_nothing_is_sent_and_the_caller_is_told(
    own_server: ServerProcess,
) -> None:
    async with connected(own_server) as js:
        await stream(js)
        await js.create_consumer("S", {"name": "c", "durable_name": "c", "ack_policy": "explicit"})
        pull = await js.open_pull("S", "c", lambda deliveries: None, lambda status: None)
        own_server.kill()
        await eventually(lambda: not js.connected)
        with pytest.raises(Disconnected):
            js.post("a", b"x")
        with pytest.raises(Disconnected):
            await js.publish("s.a", b"x", timeout=5)
        with pytest.raises(Disconnected):
            await js.request("a", b"x", timeout=5)
        with pytest.raises(Disconnected):
            await js.subscribe("a", lambda message: None)
        with pytest.raises(Disconnected):
            await js.server_info()
        with pytest.raises(Disconnected):
            pull.request(1, expires=1)
        js.acknowledge("$JS.ACK.S.c.1.1.1.1.0")
        await pull.close()


async def test_a_restarted_server_is_found_again_and_subscriptions_go_on(
    own_server: ServerProcess,
) -> None:
    async with connected(own_server) as js:
        await stream(js)
        got: list[Message] = []
        calls: list[str] = []
        await js.subscribe("hello", got.append)
        js.on_reconnect(lambda: calls.append("first"))
        js.on_reconnect(lambda: calls.append("second"))
        removed = js.on_reconnect(lambda: calls.append("removed"))
        removed()
        removed()
        for round in range(1, 4):
            await restart(own_server)
            await eventually(lambda: len(calls) == 2 * round)  # noqa: B023 (awaited at once)
            assert js.connected
            js.post("hello", b"%d" % round)
            await eventually(lambda: len(got) == round)  # noqa: B023
            assert (await js.publish("s.a", b"x", timeout=5)).sequence == round
        assert calls == ["first", "second"] * 3


async def test_pulls_go_on_after_a_reconnect_when_asked_again(own_server: ServerProcess) -> None:
    async with connected(own_server) as js:
        await stream(js)
        await js.create_consumer("S", {"name": "c", "durable_name": "c", "ack_policy": "explicit"})
        got: list[Delivery] = []
        back = asyncio.Event()
        js.on_reconnect(back.set)
        pull = await js.open_pull("S", "c", got.extend, lambda status: None)
        pull.request(10, expires=60)
        await restart(own_server)
        await asyncio.wait_for(back.wait(), 10)
        await js.publish("s.a", b"x", timeout=5)
        pull.request(10, expires=60)
        await eventually(lambda: len(got) == 1)


async def test_nothing_handed_over_before_a_reconnect_is_sent_after_it(
    own_server: ServerProcess,
) -> None:
    async with connected(own_server) as js:
        await stream(js)
        own_server.pause()
        body = b"x" * 500_000
        # More than sockets hold, so that the rest waits on our side.
        publishes = [js.publish("s.a", body, timeout=60) for _ in range(100)]
        await asyncio.sleep(0.05)
        publishes += [js.publish("s.a", b"late", timeout=60) for _ in range(10)]
        own_server.kill()
        for publish in publishes:
            with pytest.raises(NoAnswer):
                await publish
        own_server.start()
        await eventually(lambda: js.connected)
        await js.server_info()
        assert await last_sequence(js) == 0


async def test_a_hanging_server_is_left_although_it_reads_nothing(
    new_server: Callable[..., ServerProcess], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "PING_INTERVAL_SECONDS", 0.2)
    servers = {server.url: server for server in (new_server(), new_server())}
    js = await connection.open(from_url(",".join(servers), "test"))
    try:
        first = (await js.server_info())["port"]
        hanging = next(server for url, server in servers.items() if url.endswith(f":{first}"))
        hanging.pause()
        # More than sockets hold: closing the connection properly would wait for it to be read.
        for _ in range(40):
            js.post("a", b"x" * 500_000)
        await eventually(lambda: not js.connected, timeout=5)
        await eventually(lambda: js.connected, timeout=10)
        assert (await js.server_info())["port"] != first
        hanging.resume()
    finally:
        await js.close()


async def test_what_a_hanging_server_leaves_unread_is_bounded(
    own_server: ServerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nats_api_wire, "UNSENT_BYTES_MAX", 10_000_000)
    async with connected(own_server) as js:
        own_server.pause()
        with pytest.raises(Disconnected, match="unread"):
            for _ in range(100):
                js.post("a", b"x" * 500_000)
                await asyncio.sleep(0)
        own_server.resume()

        def taken_again() -> bool:
            try:
                js.post("a", b"x")
            except Disconnected:
                return False
            return True

        await eventually(taken_again)


async def test_an_answer_that_does_not_come_is_given_up_in_time(own_server: ServerProcess) -> None:
    async with connected(own_server) as js:
        await stream(js)
        own_server.pause()
        loop = asyncio.get_running_loop()
        start = loop.time()
        patient = js.publish("s.a", b"x", timeout=20)
        publishes = [js.publish("s.a", b"x", timeout=0.3) for _ in range(100)]
        batch = js.publish_batch(
            [Outgoing("s.a", b"x", {}), Outgoing("s.b", b"x", {})], timeout=0.2
        )
        with pytest.raises(NoAnswer):
            await batch
        assert 0.15 < loop.time() - start < 1.0
        for publish in publishes:
            with pytest.raises(NoAnswer):
                await publish
        assert 0.25 < loop.time() - start < 1.5
        with pytest.raises(NoAnswer):
            await js.last_message("S", "s.a", timeout=0.1)
        with pytest.raises(NoAnswer):
            await js.read_batch("S", "s.a", start=1, batch=10, timeout=0.1)
        assert not patient.done()
        own_server.resume()
        assert (await patient).stream == "S"


async def test_a_caller_that_gives_up_disturbs_nobody(own_server: ServerProcess) -> None:
    async with connected(own_server) as js:
        await stream(js)
        own_server.pause()
        cancelled = js.publish("s.a", b"x", timeout=20)
        request = asyncio.ensure_future(js.request("s.a", b"x", timeout=20))
        await asyncio.sleep(0)
        cancelled.cancel()
        request.cancel()
        kept = js.publish("s.a", b"x", timeout=20)
        own_server.resume()
        assert (await kept).sequence == 3


async def test_closing_ends_what_waits_and_says_so_once(own_server: ServerProcess) -> None:
    async with connected(own_server) as js:
        await stream(js)
        await js.subscribe("silent", lambda message: None)
        closed: list[str] = []
        js.on_closed(lambda: closed.append("a"))
        js.on_closed(lambda: closed.append("b"))
        request = asyncio.ensure_future(js.request("silent", b"x", timeout=30))
        await asyncio.sleep(0)
        js.post("s.a", b"sent before the end")
        await js.close()
        await js.close()
        with pytest.raises(NoAnswer):
            await request
        assert closed == ["a", "b"]
        assert not js.connected
        with pytest.raises(Disconnected):
            js.post("s.a", b"x")
    async with connected(own_server) as js:
        assert await last_sequence(js) == 1


async def test_closing_does_not_wait_for_a_hanging_server(own_server: ServerProcess) -> None:
    async with connected(own_server) as js:
        own_server.pause()
        for _ in range(40):
            js.post("s.a", b"x" * 500_000)
        async with asyncio.timeout(5):
            await js.close()


async def test_closing_while_the_server_is_away_is_quick(own_server: ServerProcess) -> None:
    async with connected(own_server) as js:
        own_server.kill()
        await eventually(lambda: not js.connected)
        async with asyncio.timeout(4):
            await js.close()
        own_server.start()
        assert not js.connected


async def test_what_was_acknowledged_is_there_after_each_kill(own_server: ServerProcess) -> None:
    async with connected(own_server) as js:
        await stream(js)
        acknowledged: list[PubAck] = []
        errors: list[MoonletError] = []
        stop = asyncio.Event()

        async def write(worker: int) -> None:
            while not stop.is_set():
                try:
                    acknowledged.append(await js.publish(f"s.{worker}", b"x", timeout=2))
                except MoonletError as error:
                    errors.append(error)
                    await asyncio.sleep(0.01)

        workers = [asyncio.ensure_future(write(i)) for i in range(20)]
        for _ in range(5):
            have = len(acknowledged)
            await eventually(lambda: len(acknowledged) > have + 200)  # noqa: B023
            await restart(own_server)
        stop.set()
        await asyncio.wait_for(asyncio.gather(*workers), 10)
        assert errors
        await eventually(lambda: js.connected)
        sequences = [ack.sequence for ack in acknowledged]
        assert len(set(sequences)) == len(sequences)
        assert await last_sequence(js) >= max(sequences)
        for sequence in sequences[:: max(1, len(sequences) // 50)]:
            assert await js.message("S", sequence) is not None


async def test_a_pull_whose_consumer_dies_with_the_server_says_so(
    own_server: ServerProcess,
) -> None:
    async with connected(own_server) as js:
        await js.create_stream({"name": "S", "subjects": ["s.>"], "storage": "memory"})
        await js.create_consumer("S", {"name": "c", "durable_name": "c", "ack_policy": "explicit"})
        statuses: list[PullStatus] = []
        pull = await js.open_pull("S", "c", lambda deliveries: None, statuses.append)
        await restart(own_server)
        await eventually(lambda: js.connected)
        pull.request(5, expires=5)
        await eventually(lambda: len(statuses) == 1)
        assert (statuses[0].code, statuses[0].missing) == (503, 5)


async def test_an_error_of_the_server_leads_to_a_reconnect_and_not_to_the_end() -> None:
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        writer.write(b'INFO {"version":"2.14.0","jetstream":true,"headers":true}\r\n')
        try:
            while line := await reader.readline():
                if line.startswith(b"PING"):
                    writer.write(b"PONG\r\n")
                if line.startswith(b"PUB $JS.API.INFO "):
                    reply = line.split()[2]
                    writer.write(b"MSG %b 1 2\r\n{}\r\n" % reply)
                if line.startswith(b"PUB provoke"):
                    writer.write(b"-ERR 'maximum account active connections exceeded'\r\n")
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    js = await connection.open(from_url(f"nats://127.0.0.1:{port}", "test"))
    closed: list[int] = []
    js.on_closed(lambda: closed.append(1))
    try:
        js.post("provoke")
        await eventually(lambda: connections == 2 and js.connected)
        assert closed == []
    finally:
        await js.close()
        server.close()
        await server.wait_closed()


async def test_the_first_cause_of_a_refused_batch_is_told(tmp_path: Path) -> None:
    config = f"""
        jetstream {{
            store_dir: "{tmp_path}/data"
            limits {{ batch {{ max_inflight_per_stream: 1 }} }}
        }}
    """
    server = ServerProcess(find_server(), tmp_path, config)
    server.start()
    try:
        async with connected(server) as js:
            await js.create_stream({"name": "S", "subjects": ["s.>"], "allow_atomic": True})
            opened = {"Nats-Batch-Id": "open", "Nats-Batch-Sequence": "1"}
            await js.request("s.a", b"x", headers=opened, timeout=5)
            batch = [Outgoing("s.a", b"x", {}), Outgoing("s.b", b"x", {})]
            # The last message is only told that there is no such batch (10176).
            with pytest.raises(ServerRefused) as refusal:
                await js.publish_batch(batch, timeout=5)
            assert (refusal.value.code, refusal.value.err_code) == (429, 10210)
    finally:
        server.stop()


def others_tasks() -> set["asyncio.Task[object]"]:
    return asyncio.all_tasks() - {asyncio.current_task()}


async def test_a_connection_whose_tasks_are_cancelled_is_still_answered(
    own_server: ServerProcess,
) -> None:
    async with connected(own_server) as js:
        await stream(js)
        for sequence in (1, 2):
            for task in others_tasks():
                task.cancel()
            # What a program says while it ends: it has a moment, and no second try.
            async with asyncio.timeout(2):
                assert (await js.publish("s.a", b"x", timeout=1)).sequence == sequence
        own_server.pause()
        own_server.kill()
        await eventually(lambda: not js.connected)
        for task in others_tasks():  # who waits for the server to be there again
            task.cancel()
        await asyncio.to_thread(own_server.start)
        await eventually(lambda: js.connected)
        assert await last_sequence(js) == 2


async def test_a_connection_whose_tasks_are_cancelled_for_ever_ends(
    own_server: ServerProcess,
) -> None:
    js = await connection.open(from_url(own_server.url, "test"))
    own_server.pause()
    waiting = js.publish("s.a", b"x", timeout=30)
    rounds = 0
    while tasks := others_tasks():
        rounds += 1
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert rounds < 20
    with pytest.raises(NoAnswer, match="cancelled"):
        await waiting
    with pytest.raises(Disconnected):
        await js.request("s.a", b"x", timeout=1)
    async with asyncio.timeout(1):
        await js.close()
    own_server.resume()
