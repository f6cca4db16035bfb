"""Reading messages back that were delivered and not kept: an agent's held commands, in order."""

import asyncio
from collections.abc import Callable, Coroutine

from moonlet.agents.deciding import QueuedCommand
from moonlet.agents.live import LiveAgent
from moonlet.core.codec import ENCODING_HEADER
from moonlet.core.errors import MoonletError, Unavailable
from moonlet.core.protocol import PROTOCOL_HEADER
from moonlet.streams import Bus, Delivery, StoredMessage, facts_up_to, stored_message
from moonlet.telemetry import get_logger

log = get_logger(__name__)

Spawn = Callable[[Coroutine[None, None, None], str], "asyncio.Task[None]"]


class ReadBack:
    """The readers of one partition, at most one for each agent; they end with the partition."""

    def __init__(self, bus: Bus, spawn: Spawn) -> None:
        self._bus = bus
        self._spawn = spawn
        self._reading: set[str] = set()

    def begin(self, agent: LiveAgent) -> None:
        """Read until the agent wants no more; nothing if that is going on."""
        key = agent.id.key
        if key not in self._reading:
            self._reading.add(key)
            self._spawn(self._read(agent), f"read back {agent.id}")

    async def _read(self, agent: LiveAgent) -> None:
        attempt = 0
        try:
            while agent.held and agent.wants_more and not agent.stopped:
                first = agent.held[0]
                try:
                    stored = await self._stored(first.source.stream, first.sequence)
                except MoonletError as error:
                    attempt += 1
                    log.info("reading back waits", agent=str(agent.id), error=str(error))
                    await self._bus.backoff(attempt)
                    continue
                if not agent.held or agent.held[0] is not first:
                    continue  # it was stopped meanwhile, and older ones stand before this one now
                del agent.held[0]
                if stored is not None:
                    delivery = Delivery(
                        stored.subject,
                        stored.data,
                        stored.headers,
                        first.reply,
                        first.sequence,
                        0,
                        1,
                        stored.time,
                        (stored.headers or {}).get(ENCODING_HEADER),
                        (stored.headers or {}).get(PROTOCOL_HEADER),
                    )
                    agent.take_back(QueuedCommand(first.source, delivery, first.lane, False))
        finally:
            self._reading.discard(agent.id.key)
        agent.wake()

    async def _stored(self, stream: str, sequence: int) -> StoredMessage | None:
        """The message, None if it was acknowledged; raises `Unavailable` if that isn't known."""
        stored = await stored_message(self._bus, stream, sequence)
        if stored is None:
            facts = await facts_up_to(self._bus, stream, sequence)
            if facts is None or facts.last < sequence:
                raise Unavailable(f"the server that answers for {stream} is not up to date")
            stored = await stored_message(self._bus, stream, sequence)
        return stored
