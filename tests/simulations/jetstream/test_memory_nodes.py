"""The server in a run is a machine of its own: what a client's node suffers doesn't touch it."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from moonlet.simulations import SimulationRun
from moonlet.simulations.jetstream import MemoryJetStream, MemoryServer
from moonlet.streams.api import Delivery

SECOND = 1_000_000_000
QUEUE = {"name": "q", "subjects": ["q.>"], "retention": "workqueue"}
CONSUMER = {
    "name": "c", "durable_name": "c", "ack_policy": "explicit", "ack_wait": SECOND,
}  # fmt: skip


def run(main: Callable[[SimulationRun], Coroutine[Any, Any, None]]) -> None:
    simulation = SimulationRun(1)
    simulation.run(lambda: main(simulation))


def test_what_a_crashed_node_had_sent_arrives_and_nobody_elses_delivery_stops() -> None:
    async def main(simulation: SimulationRun) -> None:
        server = MemoryServer()
        watcher = await MemoryJetStream.connect(server)
        await watcher.create_stream(QUEUE)
        seen: list[str] = []
        await watcher.subscribe("news", lambda message: seen.append(message.data.decode()))
        node = simulation.loop.node("h1")

        async def send() -> None:
            js = await MemoryJetStream.connect(server)
            js.post("news", b"last words")
            js.post("q.a", b"work")
            node.crash()

        node.spawn(send())
        await asyncio.sleep(1)
        assert seen == ["last words"]
        assert (await watcher.stream_info("q") or {})["state"]["messages"] == 1

    run(main)


def test_a_wait_that_a_crashed_node_began_ends_for_the_others() -> None:
    async def main(simulation: SimulationRun) -> None:
        server = MemoryServer()
        js = await MemoryJetStream.connect(server)
        await js.create_stream(QUEUE)
        await js.create_consumer("q", CONSUMER)
        await js.publish("q.a", b"work", timeout=1)
        node = simulation.loop.node("h1")
        taken: list[Delivery] = []

        async def take() -> None:
            theirs = await MemoryJetStream.connect(server)
            pull = await theirs.open_pull("q", "c", taken.extend, lambda _: None)
            pull.request(1, expires=1)

        node.spawn(take())
        await asyncio.sleep(0.5)
        assert [delivery.attempt for delivery in taken] == [1]
        node.crash()
        pull = await js.open_pull("q", "c", taken.extend, lambda _: None)
        pull.request(1, expires=5)
        await asyncio.sleep(1)
        assert [delivery.attempt for delivery in taken] == [1, 2]

    run(main)


def test_the_server_goes_by_the_worlds_clock_whoever_asks() -> None:
    async def main(simulation: SimulationRun) -> None:
        server = MemoryServer()
        js = await MemoryJetStream.connect(server)
        await js.create_stream(QUEUE)
        node = simulation.loop.node("h1")
        node.drift(100_000)  # a tenth too fast
        began = server.now()
        stored: list[int] = []

        async def send() -> None:
            theirs = await MemoryJetStream.connect(server)
            await asyncio.sleep(11)
            await theirs.publish("q.a", b"work", timeout=1)
            stored.append(server.now() - began)

        node.spawn(send())
        await asyncio.sleep(20)
        assert [time // 1_000_000 for time in stored] == [10_000]

    run(main)


def test_a_paused_node_hears_later_and_a_crashed_one_never_connects_again() -> None:
    async def main(simulation: SimulationRun) -> None:
        server = MemoryServer()
        js = await MemoryJetStream.connect(server)
        node = simulation.loop.node("h1")
        seen: list[tuple[float, str]] = []
        connections: list[MemoryJetStream] = []

        async def listen() -> None:
            theirs = await MemoryJetStream.connect(server, name="theirs")
            connections.append(theirs)
            loop = asyncio.get_running_loop()
            await theirs.subscribe("news", lambda m: seen.append((loop.time(), m.data.decode())))

        node.spawn(listen())
        await asyncio.sleep(1)
        node.pause()
        js.post("news", b"1")
        await asyncio.sleep(1)
        assert seen == []
        node.resume()
        await asyncio.sleep(1)
        assert seen == [(2.0, "1")]

        server.cut("theirs")
        await asyncio.sleep(1)
        assert connections[0].connected
        node.crash()
        server.cut("theirs")
        await asyncio.sleep(1)
        js.post("news", b"2")
        await asyncio.sleep(1)
        assert len(seen) == 1
        server.cut(js.name)  # the others do
        await asyncio.sleep(1)
        assert js.connected

    run(main)
