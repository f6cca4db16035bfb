"""Agents in a run, saturated: messages that were decided, committed, sent on and acknowledged.

`bare` actors do the least that an agent does, straight on the door: take a delivery, append with
an expected sequence, publish to the next with a message id, acknowledge. The others are agents of
a `Host`, told by a `Client`. Each of 100 passes a token to the next; time is that of one core.
"""

import asyncio
import gc
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextvars import Context as Life
from time import thread_time

import msgspec

from moonlet.agents import AgentType, Client, Context, Decision, Host, Send
from moonlet.simulations import SimLoop, SimulationRun
from moonlet.simulations.jetstream import MemoryJetStream, MemoryServer, Packet
from moonlet.simulations.jetstream.wire import HOST, PORT, serve
from moonlet.streams import (
    Bus,
    SystemClock,
    SystemEntropy,
    Topology,
)
from moonlet.streams.api import Delivery, JetStream
from moonlet.streams.nats import connection
from moonlet.streams.settings import from_url
from tests.benchmarks.rows import Pair, Round, Row, Scale, Work

AGENTS = 100
ROUNDS = 100  # times that each of 100 tokens goes on
LATENCY_NS = 200_000  # from a client to the server, and back
FAR_NS = 10_000_000  # the same on a long way, where virtual time has something to gain
POLL = 0.01  # s

BY_PORT = Row("simulated: 100 agents by port", "messages/s", "the same by wire")
BY_WIRE = Row("simulated: 100 agents by wire", "messages/s", "bare actors by wire",
              bar_value=2_000)  # fmt: skip
BARE = Row("simulated: 100 bare actors by port", "messages/s", "the same by wire",
           bar_value=10_000)  # fmt: skip
SATURATED = Row("simulated: the same 10 ms away, virtual time", "s/s", "200 µs away",
                bar_value=10)  # fmt: skip


class EvenNetwork:
    """Every packet takes equally long."""

    def __init__(self, loop: SimLoop, latency_ns: int) -> None:
        self._loop = loop
        self._latency_ns = latency_ns

    def carry(self, packet: Packet, arrive: Callable[[Packet], None], context: Life) -> None:
        """See `moonlet.simulations.jetstream.Network`."""
        loop = self._loop
        loop.call_at_ns(loop.now_ns + self._latency_ns, arrive, packet, context=context)


class Course:
    """One run: the way to its server, and the seconds between `start` and `stop`."""

    def __init__(self, loop: SimLoop, *, wire: bool, latency_ns: int) -> None:
        self._wire = wire
        self._loop = loop
        self.seconds = 0.0
        self.virtual = 0.0
        self.server = MemoryServer(network=EvenNetwork(loop, latency_ns))
        if wire:
            serve(self.server)

    async def connect(self) -> JetStream:
        """A connection of this run's kind."""
        if self._wire:
            return await connection.open(from_url(f"nats://{HOST}:{PORT}", "the run"))
        return await MemoryJetStream.connect(self.server)

    def start(self) -> None:
        """What came before is not measured."""
        gc.collect()
        self.seconds, self.virtual = -thread_time(), -self._loop.now_ns / 1e9

    def stop(self) -> None:
        """Nor is what comes after."""
        self.seconds += thread_time()
        self.virtual += self._loop.now_ns / 1e9

    async def filled(self, stream: str, messages: int) -> None:
        """Wait until a stream holds so many; the model is asked, which costs nothing."""
        store = self.server.broker.model.streams[stream].store
        while len(store.messages) < messages:  # noqa: ASYNC110 - the model tells nobody
            await asyncio.sleep(POLL)


async def bare(course: Course, rounds: int) -> None:
    """Actors on the door itself."""
    js = await course.connect()
    await js.create_stream({"name": "journal", "subjects": ["evt.*"]})
    await js.create_stream({"name": "mail", "subjects": ["cmd.*"], "retention": "workqueue"})

    async def act(number: int) -> None:
        config = {"name": f"c{number}", "durable_name": f"c{number}", "ack_policy": "explicit",
                  "filter_subject": f"cmd.{number}"}  # fmt: skip
        await js.create_consumer("mail", config)
        queue: asyncio.Queue[Delivery] = asyncio.Queue()

        def put(deliveries: list[Delivery]) -> None:
            for delivery in deliveries:
                queue.put_nowait(delivery)

        pull = await js.open_pull("mail", config["name"], put, lambda _: None)
        own, following = f"evt.{number}", f"cmd.{(number + 1) % AGENTS}"
        last = 0
        while True:
            pull.request(1, expires=30)
            delivery = await queue.get()
            expected = {"Nats-Expected-Last-Subject-Sequence": str(last)}
            last = (await js.publish(own, delivery.data, headers=expected, timeout=5)).sequence
            id = {"Nats-Msg-Id": f"{number}/{last}"}
            await js.publish(following, delivery.data, headers=id, timeout=5)
            js.acknowledge(delivery.reply)

    actors = [asyncio.create_task(act(number)) for number in range(AGENTS)]
    await asyncio.sleep(1)  # sleeps: in virtual time, until all pull
    course.start()
    for number in range(AGENTS):
        js.post(f"cmd.{number}", b"token")
    await course.filled("journal", rounds * AGENTS)
    course.stop()
    for actor in actors:
        actor.cancel()
    await js.close()


class Pass(msgspec.Struct, frozen=True):
    left: int


class Passed(msgspec.Struct, frozen=True):
    pass


class Relay(msgspec.Struct, frozen=True):
    passed: int = 0


def relay_type() -> AgentType[Relay]:
    """An agent that passes a token on as often as it says."""
    relay = AgentType("relay", Relay)

    @relay.on_command
    def go(state: Relay, command: Pass, context: Context) -> Decision:
        yield Passed()
        if command.left:
            number = int(context.self_id.removeprefix("relay/a")) + 1
            yield Send(f"relay/a{number % AGENTS}", Pass(command.left - 1))

    @relay.on_event
    def passed(state: Relay, event: Passed) -> Relay:
        return Relay(state.passed + 1)

    return relay


async def hosted(course: Course, rounds: int) -> None:
    """Agents of a host, and a client that tells them."""
    relay = relay_type()

    async def open_bus() -> Bus:
        return Bus(await course.connect(), SystemClock(), SystemEntropy(), topology=Topology())

    async def tell_all(moon: Client, left: int) -> None:
        names = [f"relay/a{number}" for number in range(AGENTS)]
        await asyncio.gather(*(moon.tell(name, Pass(left), timeout=60) for name in names))

    async with Client(open_bus, agents=[relay]) as host, Host(host, [relay]):
        async with Client(open_bus, agents=[relay]) as moon:
            await tell_all(moon, 0)
            await course.filled("moon-journal-main", AGENTS)
            course.start()
            await tell_all(moon, rounds - 1)
            await course.filled("moon-journal-main", AGENTS + rounds * AGENTS)
            course.stop()


def run(
    program: Callable[[Course, int], Awaitable[None]],
    rounds: int,
    *,
    wire: bool,
    latency_ns: int = LATENCY_NS,
) -> Course:
    """One run on a loop of its own."""
    simulation = SimulationRun(1)

    async def main() -> Course:
        course = Course(simulation.loop, wire=wire, latency_ns=latency_ns)
        await program(course, rounds)
        return course

    return simulation.run(main)


def compare(size: int) -> Round:
    """The figures of one round."""
    port, wire = run(hosted, size, wire=False), run(hosted, size, wire=True)
    bare_port, bare_wire = run(bare, size, wire=False), run(bare, size, wire=True)
    far = run(bare, size, wire=False, latency_ns=FAR_NS)
    messages = size * AGENTS
    return {
        BY_PORT.name: Pair(messages / port.seconds, messages / wire.seconds),
        BY_WIRE.name: Pair(messages / wire.seconds, messages / bare_wire.seconds),
        BARE.name: Pair(messages / bare_port.seconds, messages / bare_wire.seconds),
        SATURATED.name: Pair(far.virtual / far.seconds, bare_port.virtual / bare_port.seconds),
    }


async def rounds(scale: Scale) -> AsyncGenerator[Round, None]:
    while True:
        yield await asyncio.to_thread(compare, scale.of(ROUNDS, least=5))


WORKS = (Work((BY_PORT, BY_WIRE, BARE, SATURATED), rounds),)
