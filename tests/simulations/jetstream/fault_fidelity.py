"""What a cluster does while it is hurt is something that a simulated one does too.

One program appends with compare-and-set and reads back whatever it can't know. On three real
servers the leader steps down, is stopped for a while, and is killed; in worlds the same kinds of
faults are drawn. Every outcome that real servers gave must be one that the model gives, and what
was acknowledged is stored once, in both.
"""

import asyncio
from collections import Counter
from pathlib import Path

from moonlet.simulations import World, faults
from moonlet.simulations.scenario import Scenario
from moonlet.streams.api import (
    Disconnected,
    JetStream,
    NoAnswer,
    NoResponders,
    ServerRefused,
    StoredMessage,
)
from moonlet.streams.nats import connection
from moonlet.streams.server.server_process import ServerProcess
from moonlet.streams.settings import from_url
from tests.agents.accounts import account_type
from tests.simulations.jetstream.cluster import start_cluster

STREAM = "FIDELITY"
SUBJECT = "fidelity.one"
CONFIG = {"name": STREAM, "subjects": [SUBJECT], "num_replicas": 3, "storage": "file"}
PAUSE = 0.005  # s
CALM = 1.0  # s between two faults of the cluster
WORLDS = 40
HORIZON = "4s"
STOPPED = 1.5  # s, as long as a stopped leader sleeps


class Writer:
    """Appends until it is told to end; `outcomes` counts what the server made of it."""

    def __init__(self, js: JetStream) -> None:
        self._js = js
        self.outcomes: Counter[str] = Counter()
        self.acknowledged: dict[int, bytes] = {}
        self.unknown: set[bytes] = set()
        self.ended = False

    async def write(self) -> None:
        last = number = 0
        while not self.ended:
            number += 1
            data = b"%d" % number
            headers = {"Nats-Expected-Last-Subject-Sequence": str(last)}
            try:
                ack = await self._js.publish(SUBJECT, data, headers=headers, timeout=1.0)
            except (ServerRefused, NoResponders, NoAnswer, Disconnected) as error:
                self.outcomes[_name(error)] += 1
                self.unknown.add(data)
                last = await self._read_back()
            else:
                self.outcomes["stored"] += 1
                last = ack.sequence
                self.acknowledged[last] = data
            await asyncio.sleep(PAUSE)

    async def _read_back(self) -> int:
        while True:
            try:
                message = await self._js.last_message(STREAM, SUBJECT, timeout=1.0)
            except (ServerRefused, NoResponders, NoAnswer, Disconnected) as error:
                self.outcomes[f"reading: {_name(error)}"] += 1
                await asyncio.sleep(10 * PAUSE)  # sleeps: between two tries
            else:
                return 0 if message is None else message.sequence

    async def check(self) -> None:
        """What was acknowledged is stored where it was said, and nothing is stored twice."""
        stored = await _all(self._js)
        assert {s: m for s, m in stored.items() if s in self.acknowledged} == self.acknowledged
        assert set(stored.values()) <= {*self.acknowledged.values(), *self.unknown}
        assert len(set(stored.values())) == len(stored)


def _name(error: Exception) -> str:
    return str(error.err_code) if isinstance(error, ServerRefused) else type(error).__name__


async def _all(js: JetStream) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    message: StoredMessage | None
    while message := await js.next_message(STREAM, SUBJECT, start=max(found, default=0) + 1):
        found[message.sequence] = message.data
    return found


async def hurt(js: JetStream, servers: list[ServerProcess]) -> None:
    """The leader steps down, sleeps, and is killed and started again."""

    async def leader() -> ServerProcess:
        while True:
            try:
                info = await js.stream_info(STREAM)
            except (ServerRefused, NoResponders, NoAnswer, Disconnected):
                info = None
            name = (info or {}).get("cluster", {}).get("leader", "")
            if name:
                return servers[int(name.removeprefix("n")) - 1]
            await asyncio.sleep(PAUSE)

    await asyncio.sleep(CALM)
    await js.request(f"$JS.API.STREAM.LEADER.STEPDOWN.{STREAM}", timeout=5.0)
    await asyncio.sleep(CALM)
    sleeper = await leader()
    sleeper.pause()
    await asyncio.sleep(STOPPED)
    sleeper.resume()
    await asyncio.sleep(CALM)
    victim = await leader()
    victim.kill()
    await asyncio.sleep(CALM)
    victim.start()
    await asyncio.sleep(CALM)


async def in_reality(folder: Path) -> Counter[str]:
    servers = start_cluster(folder)
    try:
        urls = ",".join(server.url for server in servers)
        js = await connection.open(from_url(urls, "the cluster"))
        await js.create_stream(CONFIG)
        writer = Writer(js)
        writing = asyncio.create_task(writer.write())
        await hurt(js, servers)
        writer.ended = True
        await writing
        await writer.check()
        await js.close()
    finally:
        for server in servers:
            server.kill()
    return writer.outcomes


def in_worlds(seeds: int) -> Counter[str]:
    outcomes: Counter[str] = Counter()

    async def body(world: World) -> None:
        async with world.client() as moon:
            js = moon.bus._js
            while True:
                try:
                    await js.create_stream(CONFIG)
                    break
                except (ServerRefused, NoResponders, NoAnswer, Disconnected):
                    await asyncio.sleep(PAUSE)
            writer = Writer(js)
            writing = asyncio.create_task(writer.write())
            await world.advance(HORIZON)
            await world.settle()
            writer.ended = True
            await writing
            await writer.check()
            outcomes.update(writer.outcomes)

    scenario = Scenario(
        name=f"{__name__}:in_worlds",
        body=body,
        agents=(account_type(),),
        faults=faults.all(),
        hosts=1,
        horizon=HORIZON,
        replicas=(3,),
    )
    for seed in range(seeds):
        scenario.run(seed).check()
    return outcomes


async def test_what_a_hurt_cluster_answers_a_simulated_one_answers_too(tmp_path: Path) -> None:
    real = await in_reality(tmp_path)
    assert real["stored"] > 100
    assert sum(real.values()) > real["stored"], f"nothing went wrong: {real}"
    simulated = await asyncio.to_thread(in_worlds, WORLDS)
    assert set(real) <= set(simulated), f"{real} against {simulated}"
