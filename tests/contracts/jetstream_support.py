"""What the contracts of `JetStream` share: streams of a name, a collecting pull, waiting."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from moonlet.streams.api import Delivery, JetStream, Outgoing, PubAck, Pull, PullStatus

EXPECTED = "Nats-Expected-Last-Subject-Sequence"
EXPECTED_SUBJECT = "Nats-Expected-Last-Subject-Sequence-Subject"
MESSAGE_ID = "Nats-Msg-Id"
SECOND = 1_000_000_000


async def eventually(
    condition: Callable[[], bool | Awaitable[bool]], *, timeout: float = 10.0
) -> None:
    """Wait until `condition` holds; fail after `timeout` seconds."""
    async with asyncio.timeout(timeout):
        while True:
            held = condition()
            if not isinstance(held, bool):
                held = await held
            if held:
                return
            await asyncio.sleep(0.01)


async def journal(js: JetStream, name: str, **more: Any) -> dict[str, Any]:
    """A stream as a journal is: `<name>.evt.>`, atomic batches, direct reads, immutable."""
    config: dict[str, Any] = {
        "name": name,
        "subjects": [f"{name}.evt.>"],
        "allow_atomic": True,
        "allow_direct": True,
        "deny_delete": True,
        "deny_purge": True,
        **more,
    }
    return await js.create_stream(config)


async def mailboxes(js: JetStream, name: str, **more: Any) -> dict[str, Any]:
    """A stream as the mailboxes are: `<name>.cmd.>`, work queue, at most 3 per subject."""
    config: dict[str, Any] = {
        "name": name,
        "subjects": [f"{name}.cmd.>"],
        "retention": "workqueue",
        "discard": "new",
        "discard_new_per_subject": True,
        "max_msgs_per_subject": 3,
        "allow_direct": True,
        **more,
    }
    return await js.create_stream(config)


def consumer(name: str, **more: Any) -> dict[str, Any]:
    """A durable pull consumer with explicit acknowledgement."""
    return {
        "name": name,
        "durable_name": name,
        "ack_policy": "explicit",
        "ack_wait": 30 * SECOND,
        "max_ack_pending": -1,
        **more,
    }


async def publish(js: JetStream, subject: str, data: bytes = b"x", /, **headers: str) -> PubAck:
    """Publish with headers given as keywords (`Nats_TTL="1s"`), 5 s at most."""
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    return await js.publish(subject, data, headers=named or None, timeout=5)


def outgoing(subject: str, data: bytes = b"x", expected: int | None = None) -> Outgoing:
    """A member of a batch, with an expectation of its own subject's last sequence."""
    return Outgoing(subject, data, {} if expected is None else {EXPECTED: str(expected)})


async def last_sequence(js: JetStream, stream: str) -> int:
    """The stream's last sequence."""
    info = await js.stream_info(stream)
    assert info is not None
    sequence = info["state"]["last_seq"]
    assert isinstance(sequence, int)
    return sequence


class Collector:
    """What a pull delivered, in order of arrival."""

    def __init__(self, js: JetStream) -> None:
        self._js = js
        self.deliveries: list[Delivery] = []
        self.statuses: list[PullStatus] = []
        self.confirmed: list[int] = []
        self.pull: Pull

    async def open(self, stream: str, consumer: str) -> "Collector":
        """Open the pull; it asks for nothing yet."""
        self.pull = await self._js.open_pull(
            stream, consumer, self.deliveries.extend, self.statuses.append, self.confirmed.append
        )
        return self

    async def take(self, count: int, *, expires: float = 5.0) -> list[Delivery]:
        """Ask for `count` more messages and wait for all of them."""
        wanted = len(self.deliveries) + count
        self.pull.request(count, expires=expires)
        await eventually(lambda: len(self.deliveries) >= wanted)
        assert len(self.deliveries) == wanted
        return self.deliveries[-count:]
