"""Durable timers: schedules of the server (ADR-51), which it turns into messages when due.

A second schedule of the same agent, name and revision is the same timer; a firing that is not open
in the agent's fold was dealt with before. So setting again and firing twice are harmless.
"""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Final

from moonlet.core.codec import Encoding
from moonlet.core.envelope import Envelope
from moonlet.core.ids import AgentId
from moonlet.streams.api import PubAck
from moonlet.streams.bus import Bus
from moonlet.streams.queues.messages import encode_envelope
from moonlet.streams.subjects import Home

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

LATEST: Final = 9_214_646_400_000_000
"""The last moment that a schedule stands for, in µs since 1970: 2262-01-01.

The server counts nanoseconds in 64 bits, to April of that year. What is later wraps around there,
and most of it fires at once.
"""


def bounded(due: int) -> int:
    """The moment (µs since 1970) for which the schedule of a timer that is `due` stands."""
    return min(max(due, 0), LATEST)


class Timers:
    """The timer stream."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._stream = bus.topology.stream("timers")

    def set(
        self, agent: AgentId, envelope: Envelope, due: int, home: Home, encoding: Encoding
    ) -> "asyncio.Future[PubAck]":
        """Let `envelope` come to `agent` at `due` (µs since 1970; in the past: at once).

        What is due after `LATEST` stands for that: it is kept, and doesn't fire before.
        """
        assert envelope.timer and envelope.number
        payload, headers = encode_envelope(envelope, encoding, self._bus.command_limit)
        moment = _EPOCH + timedelta(microseconds=bounded(due))
        headers["Nats-Schedule"] = f"@at {moment.strftime('%Y-%m-%dT%H:%M:%S.%fZ')}"
        headers["Nats-Schedule-Target"] = self._bus.subjects.fire(agent, home)
        subject = self._bus.subjects.timer(agent, envelope.timer, envelope.number)
        return self._bus.publish(subject, payload, headers=headers, timeout=5.0)

    async def stands(self, agent: AgentId, name: str, revision: int) -> bool:
        """Whether the schedule is still there, read from the leader."""
        subject = self._bus.subjects.timer(agent, name, revision)
        return await self._bus._js.last_message(self._stream, subject) is not None

    async def cancel_all(self, agent: AgentId, name: str, *, but: int = 0) -> None:
        """Remove the agent's schedules of this name, except the one of revision `but`."""
        subject = self._bus.subjects.timers(agent, name)
        standing = await self._bus._js.stream_subjects(self._stream, subject)
        for found in standing:
            if not found.endswith(f".{but}"):
                await self._bus._js.purge_stream(self._stream, found)
