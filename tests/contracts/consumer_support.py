"""What the contracts of `Consumer` share: a reader of a queue, and what can be made to go wrong."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

import pytest

from moonlet.streams import Bus, Consumer, Delivery, NoResponders, owned_queue, stream_facts
from moonlet.streams.reading import consumer as consumer_module
from tests.faulty import FaultyJetStream, until_true


async def put(bus: Bus, name: str, count: int, *, subject: str = "cmd.a", first: int = 1) -> None:
    """Store numbered messages."""
    for number in range(first, first + count):
        await until_true(partial(_stored, bus, f"{name}.{subject}", number))


async def _stored(bus: Bus, subject: str, number: int) -> bool:
    """Publish; False if a new stream isn't known yet to that of three servers that was asked."""
    try:
        await bus.publish(subject, b"%d" % number, timeout=5)
    except NoResponders:
        return False
    return True


class Reader:
    """What a consumer brought, and why it ended."""

    def __init__(self) -> None:
        self.deliveries: list[Delivery] = []
        self.lost: list[str] = []
        self.consumer: Consumer

    @property
    def numbers(self) -> list[int]:
        return [int(delivery.data) for delivery in self.deliveries]

    def take(self, consumer: Consumer, deliveries: list[Delivery]) -> None:
        assert deliveries
        self.deliveries += deliveries

    def acknowledge_all(self, start: int = 0) -> None:
        for delivery in self.deliveries[start:]:
            self.consumer.acknowledge(delivery)


@asynccontextmanager
async def reading(
    bus: Bus,
    name: str,
    *filters: str,
    revision: int = 1,
    credit: int = 50,
    window: int = 50,
) -> AsyncIterator[Reader]:
    """An owner's consumer of the queue, all of it without filters; deleted at the end."""
    reader = Reader()
    terms = owned_queue(
        name, "own", [f"{name}.{f}" for f in filters or ("cmd.>",)], revision=revision
    )
    reader.consumer = Consumer(
        bus,
        terms,
        credit=credit,
        limit=4 * window,
        on_deliveries=reader.take,
        on_lost=reader.lost.append,
    )
    await reader.consumer.open()
    try:
        yield reader
    finally:
        await reader.consumer.close(delete=not reader.lost)


async def left(bus: Bus, stream: str) -> int:
    """Messages that stand in the stream."""
    facts = await stream_facts(bus, stream)
    assert facts is not None
    return facts.messages


def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take silence for loss sooner than on a real network."""
    monkeypatch.setattr(consumer_module, "SILENCE", 0.3)
    monkeypatch.setattr(consumer_module, "PULL_EXPIRES", 0.3)


def hooked(js: FaultyJetStream) -> list[Callable[[], None]]:
    """What is to be called at a reconnect, which is the test's to make."""
    hooks: list[Callable[[], None]] = []

    def on_reconnect(hook: Callable[[], None]) -> Callable[[], None]:
        hooks.append(hook)
        return lambda: hooks.remove(hook) if hook in hooks else None

    js.__dict__["on_reconnect"] = on_reconnect
    return hooks
