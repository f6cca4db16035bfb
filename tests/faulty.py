"""A connection that can be made to misbehave: it wraps a real one, call by call."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from typing import Any

from moonlet.agents import AgentType, Client
from moonlet.core.codec import Encoding
from moonlet.streams import (
    Bus,
    Delivery,
    JetStream,
    NoAnswer,
    NoResponders,
    PubAck,
    SystemClock,
    SystemEntropy,
    Topology,
    open_bus,
)
from moonlet.streams.api import Pull

Verdict = Callable[[str, bytes], str]
"""Says of a subject and payload: 'pass', 'lose' (not sent), 'lose ack' (sent, no answer), 'nobody'
(not sent, since nobody takes it), 'hold' (sent when `release` is called), 'late ack' (sent,
answered when `release` is called)."""


def passes(_subject: str, _data: bytes) -> str:
    """Nothing is wrong."""
    return "pass"


class FaultyJetStream:
    """`JetStream` over another; `publishing`, `posting` and `acknowledging` judge what is sent."""

    def __init__(self, inner: JetStream) -> None:
        self.inner = inner
        self.publishing: Verdict = passes
        self.posting: Verdict = passes
        self.acknowledging: Verdict = passes
        self.delivering: Callable[[Delivery], bool] = lambda delivery: True
        self.pulling: Callable[[int], bool] = lambda batch: True
        self.published: list[str] = []
        self._held: list[Callable[[], None]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def publish(
        self, subject: str, data: bytes, *, headers: Any = None, timeout: float
    ) -> "asyncio.Future[PubAck]":
        """As the real one, unless it is judged otherwise."""
        self.published.append(subject)
        send = lambda: self.inner.publish(subject, data, headers=headers, timeout=timeout)  # noqa: E731
        return self._judged(self.publishing(subject, data), send)

    def publish_batch(self, messages: Sequence[Any], *, timeout: float) -> "asyncio.Future[PubAck]":
        """A batch is judged by its first message."""
        self.published.extend(message.subject for message in messages)
        verdict = self.publishing(messages[0].subject, messages[0].data)
        return self._judged(verdict, lambda: self.inner.publish_batch(messages, timeout=timeout))

    def _judged(
        self, verdict: str, send: Callable[[], "asyncio.Future[PubAck]"]
    ) -> "asyncio.Future[PubAck]":
        if verdict == "pass":
            return send()
        lost: asyncio.Future[PubAck] = asyncio.get_running_loop().create_future()
        if verdict == "lose":
            lost.set_exception(NoAnswer("lost by the test"))
        elif verdict == "nobody":
            lost.set_exception(NoResponders("nobody takes it, says the test"))
        elif verdict == "lose ack":
            send().add_done_callback(
                lambda _: lost.set_exception(NoAnswer("its answer was lost by the test"))
            )
        elif verdict == "late ack":
            sent = send()
            self._held.append(lambda: _copy(sent, lost))
        else:
            assert verdict == "hold", verdict
            self._held.append(lambda: _copy(send(), lost))
        return lost

    @property
    def held(self) -> int:
        """How many publishes wait for `release`."""
        return len(self._held)

    def release(self) -> None:
        """Send what was held, in order."""
        held, self._held = self._held, []
        for send in held:
            send()

    def post(
        self, subject: str, data: bytes = b"", *, headers: Any = None, reply: str = ""
    ) -> None:
        """Core NATS messages are only passed or lost."""
        if self.posting(subject, data) == "pass":
            self.inner.post(subject, data, headers=headers, reply=reply)

    async def open_pull(
        self,
        stream: str,
        consumer: str,
        on_deliveries: Any,
        on_status: Any,
        on_confirmed: Any = None,
        sieve: Any = None,
    ) -> Any:
        """`delivering` says which arrive, `pulling` which requests are sent."""

        def arrive(deliveries: list[Delivery]) -> None:
            arrived = [delivery for delivery in deliveries if self.delivering(delivery)]
            if arrived or sieve:
                on_deliveries(arrived)

        inner = await self.inner.open_pull(stream, consumer, arrive, on_status, on_confirmed, sieve)
        return FaultyPull(inner, self)

    def acknowledge(self, reply: str, *, answer_to: str = "") -> None:
        """Acknowledgements are only passed or lost."""
        if self.acknowledging(reply, b"") == "pass":
            self.inner.acknowledge(reply, answer_to=answer_to)


class FaultyPull:
    """A pull of a `FaultyJetStream`."""

    def __init__(self, inner: Pull, faults: FaultyJetStream) -> None:
        self._inner = inner
        self._faults = faults

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def request(self, batch: int, *, expires: float) -> None:
        """As the real one, unless it is swallowed on its way."""
        if self._faults.pulling(batch):
            self._inner.request(batch, expires=expires)


def _copy(source: "asyncio.Future[PubAck]", target: "asyncio.Future[PubAck]") -> None:
    def done(future: "asyncio.Future[PubAck]") -> None:
        if target.done():
            return
        error = future.exception()
        if error is not None:
            target.set_exception(error)
        else:
            target.set_result(future.result())

    source.add_done_callback(done)


def bus_over(js: Any, topology: Topology | None = None) -> Bus:
    """A bus over a connection that is open already, by the system's clock."""
    return Bus(js, SystemClock(), SystemEntropy(), topology=topology)


class FaultyMoon:
    """A client, and the hosts on it, whose connection is faulty."""

    def __init__(
        self,
        url: str,
        prefix: str,
        *,
        agents: Sequence[AgentType[Any]] = (),
        encoding: Encoding = "json",
        mailbox: int = 10_000,
        internal: int = 1_000_000,
        over: Callable[[JetStream], Any] | None = None,
    ) -> None:
        self._stack = AsyncExitStack()
        topology = Topology(prefix=prefix, mailbox=mailbox, internal=internal)

        async def open() -> Bus:
            bus = await open_bus(self._stack, url, topology=topology, encoding=encoding)
            self.faults = (over or FaultyJetStream)(bus._js)
            return Bus(
                self.faults,  # the rest is delegated
                SystemClock(),
                SystemEntropy(),
                topology=topology,
                encoding=encoding,
            )

        self.moon = Client(open, agents=agents, close=self._stack.aclose)

    async def __aenter__(self) -> tuple[Client, Any]:
        await self.moon.__aenter__()
        return self.moon, self.faults

    async def __aexit__(self, *error: Any) -> None:
        await self.moon.__aexit__(*error)


async def until(condition: Callable[[], bool], *, within: float = 10.0) -> None:
    """Wait for a condition, with a bound."""

    async def holds() -> bool:
        return condition()

    await until_true(holds, within=within)


async def until_true(condition: Callable[[], Awaitable[bool]], *, within: float = 10.0) -> None:
    """Wait for an asynchronous condition, with a bound."""
    async with asyncio.timeout(within):
        while not await condition():  # noqa: ASYNC110 (it is somebody else's state)
            await asyncio.sleep(0.01)
