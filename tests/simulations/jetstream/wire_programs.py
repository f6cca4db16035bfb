"""Programs that speak NATS by bytes in a run, for this process and for others."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import nats
from nats.js.api import ConsumerConfig, StreamConfig

from moonlet.core.errors import Unavailable
from moonlet.simulations import SimLoop, SimulationRun, Trace
from moonlet.simulations.jetstream import MemoryServer
from moonlet.simulations.jetstream.wire import HOST, PORT, serve
from moonlet.streams.api import Delivery, Disconnected, JetStream, Outgoing
from moonlet.streams.nats import connection
from moonlet.streams.settings import from_url
from tests.contracts.jetstream_support import EXPECTED, SECOND, consumer, journal, mailboxes

URL = f"nats://{HOST}:{PORT}"
Program = Callable[[MemoryServer], Awaitable[Any]]


def this_loop() -> SimLoop:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SimLoop)
    return loop


def run(program: Program, seed: int = 1, trace: Trace | None = None) -> Any:
    """Run with a server that is reached by bytes; its result."""

    async def main() -> Any:
        server = MemoryServer()
        serve(server)
        return await program(server)

    return SimulationRun(seed, trace=trace).run(main)


async def connect() -> JetStream:
    """Our adapter over an unmodified nats-py."""
    return await connection.open(from_url(URL, "the run"))


async def with_plain_nats(server: MemoryServer) -> list[Any]:
    """nats-py as anybody uses it: core NATS, streams, pulls, a key-value bucket."""
    seen: list[Any] = []
    client = await nats.connect(URL)

    async def answer(message: Any) -> None:
        await message.respond(message.data.upper())

    await client.subscribe("service", queue="q", cb=answer)
    seen.append((await client.request("service", b"hello", timeout=1)).data)
    js = client.jetstream()
    await js.add_stream(StreamConfig(name="s", subjects=["s.>"]))
    for number in range(5):
        ack = await js.publish(f"s.{number}", b"%d" % number, headers={"Number": str(number)})
        seen.append(ack.seq)
    pulled = await js.pull_subscribe("s.>", "d", config=ConsumerConfig(max_deliver=3))
    for message in await pulled.fetch(5, timeout=1):
        seen.append((message.subject, message.data, (message.headers or {})["Number"]))
        await message.ack_sync()
    bucket = await js.create_key_value(bucket="b")
    seen.append(await bucket.put("k", b"1"))
    seen.append(await bucket.update("k", b"2", last=1))
    seen.append((await bucket.get("k")).value)
    await client.close()
    return seen


async def insist(js: JetStream, subject: str, data: bytes) -> None:
    """Publish once, however often it takes."""
    while True:
        try:
            headers = {"Nats-Msg-Id": f"{subject}/{data.decode()}"}
            await js.publish(subject, data, headers=headers, timeout=1)
            return
        except Unavailable:
            await asyncio.sleep(0.1)


async def of_nodes(server: MemoryServer) -> int:
    """Workers on three nodes take from a queue and append to a journal; one crashes, one pauses."""
    loop = this_loop()
    js = await connect()
    await journal(js, "j")
    await mailboxes(js, "m", max_msgs_per_subject=1000)
    for number in range(3):
        config = consumer(f"c{number}", filter_subject=f"m.cmd.{number}", ack_wait=SECOND)
        await js.create_consumer("m", config)

    async def work(number: int) -> None:
        mine = await connect()
        last = 0

        async def append(delivery: Delivery) -> None:
            nonlocal last
            headers = {EXPECTED: str(last)}
            batch = [Outgoing(f"j.evt.{number}", delivery.data, headers)]
            batch += [Outgoing(f"j.evt.{number}.more", b"", {})]
            try:
                ack = await mine.publish_batch(batch, timeout=1)
            except Unavailable:
                return  # it comes again
            last = ack.sequence - 1
            mine.acknowledge(delivery.reply)

        queue: asyncio.Queue[Delivery] = asyncio.Queue()

        def put(deliveries: list[Delivery]) -> None:
            for delivery in deliveries:
                queue.put_nowait(delivery)

        pull = await mine.open_pull("m", f"c{number}", put, lambda _: None)
        while True:
            try:
                pull.request(10, expires=1)
                async with asyncio.timeout(1):
                    while True:
                        await append(await queue.get())
            except (TimeoutError, Disconnected):
                await asyncio.sleep(0.1)

    for number in range(3):
        loop.node(f"h{number}").spawn(work(number))
    for number in range(60):
        await insist(js, f"m.cmd.{number % 3}", b"%d" % number)
        await asyncio.sleep(0.01)
        if number == 20:
            loop.node("h1").crash()
        if number == 30:
            loop.node("h2").pause()
        if number == 40:
            server.restart()
    loop.node("h2").resume()
    await asyncio.sleep(10)
    journaled = await js.stream_subjects("j", ">")
    for subject, count in journaled.items():
        loop.trace.event(loop.now_ns, "", "journal", subject, count)
    await js.close()
    return journaled["j.evt.0"] + journaled["j.evt.2"]


def digest(seed: int) -> str:
    """The digest of `of_nodes`."""
    trace = Trace()
    run(of_nodes, seed, trace)
    return trace.digest


async def with_objects(server: MemoryServer) -> None:
    """An object store as nats-py has it: writes are plain publishes, reads are push consumers."""
    client = await nats.connect(URL)
    try:
        objects = await client.jetstream().create_object_store("o")
        await objects.put("large", b"x" * 300_000)
        info = (await objects.get_info("large")).size
        assert info == 300_000
        await objects.get("large")
    finally:
        await client.close()
