"""The adapter against the least nats-py loop that does the same: publishes, deliveries, both.

Run: `.venv/bin/python tests/benchmarks/adapter.py [count] [--uvloop]`. Rounds are interleaved; the
medians and their ratio are printed. The server runs without fsync, so that the client is measured.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import nats
from nats.aio.client import Client
from nats.aio.msg import Msg

from moonlet.streams.api import Delivery, JetStream, PubAck
from moonlet.streams.nats import connection
from moonlet.streams.server.embedded import configuration
from moonlet.streams.server.server_process import ServerProcess, find_server
from moonlet.streams.settings import from_url

ROUNDS = 5
WINDOW = 1000
PULL = 256
BODY = b"x" * 250
HEADER = "Nats-Expected-Last-Subject-Sequence"

Row = Callable[[str, int], Awaitable[float]]


class _Ack(msgspec.Struct):
    seq: int


_decode_ack = msgspec.json.Decoder(_Ack).decode


async def bare_publish(nc: Client, name: str, count: int) -> None:
    """Compare-and-set publishes to 1,000 subjects, a window of them under way."""
    inbox = nc.new_inbox()
    done = asyncio.get_running_loop().create_future()
    last = [0] * 1000
    sent = acknowledged = 0

    async def send() -> None:
        nonlocal sent
        agent = sent % 1000
        sent += 1
        headers = {HEADER: str(last[agent])}
        await nc.publish(f"{name}.{agent}", BODY, reply=f"{inbox}.{agent}", headers=headers)

    async def on_ack(message: Msg) -> None:
        nonlocal acknowledged
        last[int(message.subject.rpartition(".")[2])] = _decode_ack(message.data).seq
        acknowledged += 1
        if sent < count:
            await send()
        elif acknowledged == count:
            done.set_result(None)

    subscription = await nc.subscribe(f"{inbox}.*", cb=on_ack)
    for _ in range(min(WINDOW, count)):
        await send()
    await done
    await subscription.unsubscribe()


async def our_publish(js: JetStream, name: str, count: int) -> None:
    """The same through `JetStream.publish`."""
    done = asyncio.get_running_loop().create_future()
    last = [0] * 1000
    sent = acknowledged = 0

    def send() -> None:
        nonlocal sent
        agent = sent % 1000
        sent += 1

        def on_ack(future: "asyncio.Future[PubAck]") -> None:
            nonlocal acknowledged
            last[agent] = future.result().sequence
            acknowledged += 1
            if sent < count:
                send()
            elif acknowledged == count:
                done.set_result(None)

        headers = {HEADER: str(last[agent])}
        js.publish(f"{name}.{agent}", BODY, headers=headers, timeout=30).add_done_callback(on_ack)

    for _ in range(min(WINDOW, count)):
        send()
    await done


async def bare_pull(nc: Client, name: str, count: int) -> None:
    """Pull `count` messages of stream `name` and acknowledge each."""
    inbox = nc.new_inbox()
    request = msgspec.json.encode({"batch": PULL, "expires": 10**9})
    done = asyncio.get_running_loop().create_future()
    got = credit = 0

    async def on_message(message: Msg) -> None:
        nonlocal got, credit
        if not message.reply:
            return
        got += 1
        credit -= 1
        await nc.publish(message.reply)
        if credit <= PULL:
            credit += PULL
            await nc.publish(f"$JS.API.CONSUMER.MSG.NEXT.{name}.c", request, reply=inbox)
        if got == count:
            done.set_result(None)

    subscription = await nc.subscribe(inbox, cb=on_message)
    for _ in range(2):
        credit += PULL
        await nc.publish(f"$JS.API.CONSUMER.MSG.NEXT.{name}.c", request, reply=inbox)
    await done
    await subscription.unsubscribe()


async def our_pull(js: JetStream, name: str, count: int) -> None:
    """The same through `JetStream.open_pull`."""
    done = asyncio.get_running_loop().create_future()
    got = credit = 0

    def on_deliveries(deliveries: list[Delivery]) -> None:
        nonlocal got, credit
        got += len(deliveries)
        credit -= len(deliveries)
        for delivery in deliveries:
            js.acknowledge(delivery.reply)
        if credit <= PULL:
            credit += PULL
            pull.request(PULL, expires=1)
        if got == count:
            done.set_result(None)

    pull = await js.open_pull(name, "c", on_deliveries, lambda status: None)
    for _ in range(2):
        credit += PULL
        pull.request(PULL, expires=1)
    await done
    await pull.close()


async def new_stream(js: JetStream, name: str) -> None:
    """A stream of one round, with a consumer of all of it."""
    await js.create_stream({"name": name, "subjects": [f"{name}.*"], "max_bytes": 10**9})
    consumer = {"name": "c", "durable_name": "c", "ack_policy": "explicit", "max_ack_pending": -1}
    await js.create_consumer(name, consumer)


async def main(count: int) -> None:
    """Run all rounds and print the medians."""
    with tempfile.TemporaryDirectory() as folder:
        config = configuration(Path(folder) / "data", fsync=False)
        server = ServerProcess(find_server(), Path(folder) / "server", config)
        server.start()
        try:
            js = await connection.open(from_url(server.url, "benchmark"))
            nc = await nats.connect(server.url)
            results: dict[str, list[float]] = {}

            async def timed(row: str, work: Awaitable[Any]) -> None:
                start = time.perf_counter()
                await work
                results.setdefault(row, []).append(count / (time.perf_counter() - start))

            for i in range(ROUNDS):
                await new_stream(js, f"bare{i}")
                await new_stream(js, f"ours{i}")
                await timed("bare publish", bare_publish(nc, f"bare{i}", count))
                await timed("our publish", our_publish(js, f"ours{i}", count))
                await timed("bare pull", bare_pull(nc, f"bare{i}", count))
                await timed("our pull", our_pull(js, f"ours{i}", count))
            await nc.close()
            await js.close()
        finally:
            server.stop()
    medians = {row: statistics.median(values) for row, values in results.items()}
    for what in ("publish", "pull"):
        ours, bare = medians[f"our {what}"], medians[f"bare {what}"]
        print(f"{what:8} ours {ours:9,.0f}/s  bare {bare:9,.0f}/s  ratio {ours / bare:.2f}")


if __name__ == "__main__":
    messages = int(sys.argv[1]) if len(sys.argv) > 1 and sys.argv[1].isdigit() else 20_000
    if "--uvloop" in sys.argv:
        import uvloop

        uvloop.run(main(messages))
    else:
        asyncio.run(main(messages))
